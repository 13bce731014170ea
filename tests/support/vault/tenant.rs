//! One test's part of a shared Vault: an environment with a key, an AppRole
//! mount and the three roles, whose only rights are our own policies.

mod records;

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::{
    envelope::{Envelope, KekContext},
    key::Environment,
    kms::vault_transit::{Login, Role, Settings, Timeouts, VaultTransit, policy},
};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{PLUGIN, VaultServer, text};
use crate::support::jwt::{self, Issuer};

/// A test's part of a Vault.
pub struct Tenant<'a> {
    vault: &'a VaultServer,
    environment: Environment,
    files: TempDir,
}

impl<'a> Tenant<'a> {
    /// Sets up key, policies and roles, with tokens that live for twenty minutes.
    pub async fn new(vault: &'a VaultServer) -> Self {
        let twenty_minutes = Duration::from_secs(1200);
        Self::with_tokens(vault, twenty_minutes, twenty_minutes * 3).await
    }

    /// The same with another life of tokens, in whole seconds.
    pub async fn with_tokens(vault: &'a VaultServer, ttl: Duration, max: Duration) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let tenant = Self {
            vault,
            environment: format!("t{number}").parse().unwrap(),
            files: tempfile::tempdir().unwrap(),
        };
        tenant.create_key().await;
        for role in Role::ALL {
            tenant.set_policy(role).await;
        }
        let approle = json!({"type": "approle"});
        let mount = format!("sys/auth/{}", tenant.mount());
        vault.root(Method::POST, &mount, approle).await;
        for role in Role::ALL {
            tenant.set_role(role, ttl, max).await;
        }
        tenant
    }

    /// The environment, which only this test uses.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The name of the Transit key.
    pub fn key(&self) -> String {
        format!("countersign-{}", self.environment)
    }

    /// Where AppRole is mounted.
    pub fn mount(&self) -> String {
        format!("approle-{}", self.environment)
    }

    /// The path of a login in the audit log.
    pub fn login_path(&self) -> String {
        format!("auth/{}/login", self.mount())
    }

    /// The path of an operation in the audit log.
    pub fn path(&self, operation: &str) -> String {
        format!("transit/{operation}/{}", self.key())
    }

    /// How often the server was asked to do an operation.
    pub fn count(&self, operation: &str) -> usize {
        self.vault.answers().count(&self.path(operation))
    }

    /// How often somebody logged in.
    pub fn logins(&self) -> usize {
        self.vault.answers().count(&self.login_path())
    }

    /// The settings with all three roles by AppRole.
    pub fn settings(&self) -> Settings {
        Settings {
            addresses: vec![self.vault.url()],
            ca_file: self.vault.ca_file(),
            namespace: None,
            mount: "transit".to_owned(),
            key: self.key(),
            signer: Some(self.login(Role::Signer)),
            custodian: Some(self.login(Role::Custodian)),
            rotator: Some(self.login(Role::Rotator)),
            timeouts: Timeouts::default(),
        }
    }

    /// A running backend with these settings.
    pub fn kms(&self) -> VaultTransit {
        VaultTransit::start(self.settings()).unwrap()
    }

    /// The AppRole login of a role.
    pub fn login(&self, role: Role) -> Login {
        let file = |kind| self.files.path().join(format!("{}.{kind}", role.as_str()));
        Login::AppRole {
            mount: self.mount(),
            role_id: fs::read_to_string(file("role")).unwrap(),
            secret_id_file: file("secret"),
        }
    }

    /// A token of a role, got by hand, with its accessor.
    pub async fn token(&self, role: Role) -> (String, String) {
        let Login::AppRole { role_id, secret_id_file, .. } = self.login(role) else {
            unreachable!()
        };
        let secret_id = fs::read_to_string(secret_id_file).unwrap();
        let login = json!({"role_id": role_id, "secret_id": secret_id.trim()});
        let (_, answer) = self.vault.call(Method::POST, &self.login_path(), "", Some(login)).await;
        let auth = &answer["auth"];
        (text(&auth["client_token"]), text(&auth["accessor"]))
    }

    /// Writes a file of the test's own.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.files.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Creates the Transit key.
    pub async fn create_key(&self) {
        let key = json!({"type": "aes256-gcm96", "derived": true});
        self.admin("keys", "", key).await;
    }

    /// Deletes the Transit key.
    pub async fn delete_key(&self) {
        self.configure_key(json!({"deletion_allowed": true})).await;
        let path = format!("transit/keys/{}", self.key());
        self.vault.root(Method::DELETE, &path, Value::Null).await;
    }

    /// Adds a version to the Transit key.
    pub async fn rotate_key(&self) {
        self.admin("keys", "/rotate", json!({})).await;
    }

    /// Changes the Transit key's configuration.
    pub async fn configure_key(&self, configuration: Value) {
        self.admin("keys", "/config", configuration).await;
    }

    async fn admin(&self, what: &str, verb: &str, body: Value) {
        let path = format!("transit/{what}/{}{verb}", self.key());
        self.vault.root(Method::POST, &path, body).await;
    }

    /// Gives a role our policy, and no other right.
    pub async fn set_policy(&self, role: Role) {
        let policy = policy::hcl(role, "transit", &self.key(), &self.environment);
        let path = self.policy_path(role);
        self.vault.root(Method::PUT, &path, json!({"policy": policy})).await;
    }

    /// Gives the rotator the right to raise the floor as well.
    pub async fn let_raise_the_floor(&self) {
        let hcl = policy::hcl(Role::Rotator, "transit", &self.key(), &self.environment);
        let policy = hcl + &policy::floor_hcl("transit", &self.key());
        let path = self.policy_path(Role::Rotator);
        self.vault.root(Method::PUT, &path, json!({"policy": policy})).await;
    }

    /// Gives the rotator the rights that shredding takes as well.
    pub async fn let_shred(&self) {
        let hcl = policy::hcl(Role::Rotator, "transit", &self.key(), &self.environment);
        let policy = hcl + &policy::shred_hcl("transit", &self.key());
        let path = self.policy_path(Role::Rotator);
        self.vault.root(Method::PUT, &path, json!({"policy": policy})).await;
    }

    /// Whether Vault itself would unwrap an envelope's DEK, for somebody with every right.
    pub async fn unwraps(&self, envelope: &Envelope) -> bool {
        let context = KekContext::of(&envelope.header().identity);
        let wrapped = std::str::from_utf8(envelope.wrapped_dek().as_bytes()).unwrap();
        let body = json!({"ciphertext": wrapped, "context": STANDARD.encode(context.as_bytes())});
        let (status, answer) =
            self.vault.call_as_root(Method::POST, &self.path("decrypt"), body).await;
        // What it unwraps to is told to nobody.
        assert!([200, 400].contains(&status), "{status}: {}", answer["errors"]);
        status == 200
    }

    /// Creates another key of the environment's.
    pub async fn create_key_called(&self, name: &str) {
        let path = format!("transit/keys/{name}-{}", self.environment);
        let key = json!({"type": "aes256-gcm96", "derived": true});
        self.vault.root(Method::POST, &path, key).await;
    }

    /// Gives signer and custodian the same rights to that one as to the first.
    pub async fn let_use_key_called(&self, name: &str) {
        let other = format!("{name}-{}", self.environment);
        for role in [Role::Signer, Role::Custodian] {
            let hcl = policy::hcl(role, "transit", &self.key(), &self.environment);
            let also = policy::hcl(role, "transit", &other, &self.environment);
            // Without its own token's rights, which stand in the first.
            let also = also.split("# Its own token").next().unwrap();
            let path = self.policy_path(role);
            let policy = json!({"policy": format!("{hcl}\n{also}")});
            self.vault.root(Method::PUT, &path, policy).await;
        }
    }

    /// Takes a role's rights away.
    pub async fn delete_policy(&self, role: Role) {
        let path = self.policy_path(role);
        self.vault.root(Method::DELETE, &path, Value::Null).await;
    }

    fn policy_path(&self, role: Role) -> String {
        format!("sys/policies/acl/{}", self.policy_name(role))
    }

    fn policy_name(&self, role: Role) -> String {
        format!("{}-{}", self.environment, role.as_str())
    }

    fn rights(&self, role: Role, ttl: Duration, max: Duration) -> Value {
        json!({
            "token_policies": [self.policy_name(role)],
            "token_no_default_policy": true,
            "token_ttl": ttl.as_secs(),
            "token_max_ttl": max.as_secs(),
        })
    }

    async fn set_role(&self, role: Role, ttl: Duration, max: Duration) {
        self.set_login(role.as_str(), self.rights(role, ttl, max)).await;
    }

    async fn set_login(&self, name: &str, rights: Value) {
        let path = format!("auth/{}/role/{name}", self.mount());
        self.vault.root(Method::POST, &path, rights).await;
        let id = format!("{path}/role-id");
        let id = self.vault.root(Method::GET, &id, Value::Null).await;
        self.file(&format!("{name}.role"), &text(&id["role_id"]));
        let secret = format!("{path}/secret-id");
        let secret = self.vault.root(Method::POST, &secret, json!({})).await;
        // A newline at the end, as most tools write one.
        let secret = format!("{}\n", text(&secret["secret_id"]));
        self.file(&format!("{name}.secret"), &secret);
    }

    /// Sets up JWT login for a role; the issuer's service account is the role.
    pub async fn jwt_login(&self, role: Role, issuer: &Issuer) -> Login {
        let mount = format!("jwt-{}", self.environment);
        let path = format!("sys/auth/{mount}");
        self.vault.root(Method::POST, &path, json!({"type": "jwt"})).await;
        let config = json!({
            "jwt_validation_pubkeys": [issuer.public_key_pem()],
            "jwt_supported_algs": ["ES256"],
            "bound_issuer": jwt::ISSUER,
        });
        let path = format!("auth/{mount}/config");
        self.vault.root(Method::POST, &path, config).await;
        let name = role.as_str();
        let hour = Duration::from_secs(3600);
        let mut rights = self.rights(role, hour, hour);
        rights["role_type"] = json!("jwt");
        rights["user_claim"] = json!("sub");
        rights["bound_audiences"] = json!(["vault"]);
        rights["bound_subject"] = json!(format!("system:serviceaccount:{}:{name}", jwt::NAMESPACE));
        let path = format!("auth/{mount}/role/{name}");
        self.vault.root(Method::POST, &path, rights).await;
        Login::Jwt {
            mount,
            role: name.to_owned(),
            token_file: self.file("jwt", &issuer.token(name)),
        }
    }

    /// Sets up Kubernetes login for a role; the service account is the role.
    pub async fn kubernetes_login(&self, role: Role, issuer: &Issuer) -> Login {
        let mount = format!("kubernetes-{}", self.environment);
        let plugin = self.vault.has_plugin().await;
        let kind = if plugin { PLUGIN } else { "kubernetes" };
        let path = format!("sys/auth/{mount}");
        self.vault.root(Method::POST, &path, json!({"type": kind})).await;
        let config = json!({
            "kubernetes_host": self.vault.token_review().url(),
            "kubernetes_ca_cert": fs::read_to_string(self.vault.ca_file()).unwrap(),
            "disable_local_ca_jwt": true,
        });
        let path = format!("auth/{mount}/config");
        self.vault.root(Method::POST, &path, config).await;
        let name = role.as_str();
        let hour = Duration::from_secs(3600);
        let mut rights = self.rights(role, hour, hour);
        rights["audience"] = json!("vault");
        rights["alias_name_source"] = json!("serviceaccount_uid");
        rights["bound_service_account_names"] = json!([name]);
        rights["bound_service_account_namespaces"] = json!([jwt::NAMESPACE]);
        let path = format!("auth/{mount}/role/{name}");
        self.vault.root(Method::POST, &path, rights).await;
        Login::Kubernetes {
            mount,
            role: name.to_owned(),
            token_file: self.file("service-account", &issuer.token(name)),
        }
    }
}
