//! The tenant's KV engine.

use std::{fs, time::Duration};

use countersign::{
    key::{Environment, ShareId},
    kms::vault_transit::Login,
    store::vault_kv::{
        Settings,
        policy::{Access, hcl},
    },
};
use reqwest::Method;
use serde_json::json;

use super::Tenant;

impl Tenant<'_> {
    /// An engine of the tenant's own, of version 2.
    pub async fn mount_kv(&self) {
        self.vault.mount_kv(&self.kv(), "2").await;
    }

    /// Where it is mounted.
    pub fn kv(&self) -> String {
        format!("kv-{}", self.environment)
    }

    /// The path of a share's secret, `data` or `metadata`.
    pub fn secret(&self, kind: &str, environment: &Environment, share: ShareId) -> String {
        format!("{}/{kind}/countersign/{environment}/{share}", self.kv())
    }

    /// A login whose only rights are our own policy, and how the store reaches the records of
    /// an environment.
    pub async fn records(&self, access: Access, environment: &Environment) -> Settings {
        let name = format!("{environment}-{access:?}").to_lowercase();
        self.permit_records(access, &hcl(access, &self.kv(), "countersign", environment)).await;
        let hour = Duration::from_secs(3600).as_secs();
        let rights = json!({
            "token_policies": [self.records_policy(access)],
            "token_no_default_policy": true,
            "token_ttl": hour,
            "token_max_ttl": hour,
        });
        self.set_login(&name, rights).await;
        let file = |kind| self.files.path().join(format!("{name}.{kind}"));
        Settings {
            server: self.settings().server(),
            login: Login::AppRole {
                mount: self.mount(),
                role_id: fs::read_to_string(file("role")).unwrap(),
                secret_id_file: file("secret"),
            },
            mount: self.kv(),
            prefix: "countersign".to_owned(),
            environment: environment.clone(),
        }
    }

    /// Gives that login other rights.
    pub async fn permit_records(&self, access: Access, policy: &str) {
        let path = format!("sys/policies/acl/{}", self.records_policy(access));
        self.vault.root(Method::PUT, &path, json!({"policy": policy})).await;
    }

    fn records_policy(&self, access: Access) -> String {
        format!("{}-records-{access:?}", self.environment).to_lowercase()
    }
}
