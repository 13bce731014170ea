//! `[kms]` and `[vault]`: what wraps DEKs.

use std::{path::PathBuf, time::Duration};

use super::document::Table;
use crate::{
    key::Environment,
    kms::vault_transit::{self, Login, Timeouts},
};

/// A KMS, by kind.
#[derive(Clone, Debug)]
pub enum KmsConfig {
    /// A KEK in a file: development only.
    Local {
        /// The file.
        kek_file: PathBuf,
    },
    /// Vault or OpenBao.
    VaultTransit(Box<vault_transit::Settings>),
}

/// Where Kubernetes puts a projected token when the pod asks for it there.
const PROJECTED_TOKEN: &str = "/var/run/secrets/countersign/token";

pub(super) fn read(
    table: Table<'_>,
    vault: Table<'_>,
    environment: Option<&Environment>,
) -> Option<KmsConfig> {
    let kind = table.one_of("kind", &["vault-transit", "local"]);
    let kms = match kind {
        Some("local") => local(&table, &vault, environment),
        Some(_) if !vault.is_there() => {
            table.note("kind \"vault-transit\" needs a table [vault] with its addresses");
            None
        }
        Some(_) => transit(vault, environment),
        None => None,
    };
    if kind.is_some() {
        table.finish();
    }
    kms
}

fn local(
    table: &Table<'_>,
    vault: &Table<'_>,
    environment: Option<&Environment>,
) -> Option<KmsConfig> {
    if environment.is_some_and(Environment::is_production) {
        table.note("the local KEK is for development and refused in a production environment");
    }
    if vault.is_there() {
        vault.note("[vault] is for `kms.kind` \"vault-transit\": remove one of the two");
    }
    let kek_file = table.path("kek_file", "the path of the KEK file, mode 0600")?;
    Some(KmsConfig::Local { kek_file })
}

fn transit(table: Table<'_>, environment: Option<&Environment>) -> Option<KmsConfig> {
    let addresses = table.texts("addresses");
    if addresses.as_ref().is_some_and(Vec::is_empty) {
        table.note("`vault.addresses` is missing: [\"https://host:port\"], in order of preference");
    }
    let ca_file = table.path(
        "ca_file",
        "the path of the PEM certificate of the authority to trust",
    );
    let namespace = table.optional_text("namespace");
    let mount = table.text_or("mount", "transit");
    let key = key(&table, environment);
    let patience = Duration::from_millis(100)..=Duration::from_secs(60);
    let default = Timeouts::default();
    let connect = table.duration("connect_timeout", default.connect, patience.clone());
    let request = table.duration("request_timeout", default.request, patience);
    let logins = ["signer", "custodian", "rotator"].map(|role| login(table.table(role)));
    let [signer, custodian, rotator] = logins;
    if let (Some(None), Some(None)) = (&signer, &custodian) {
        table.note("[vault.signer] or [vault.custodian] is needed: a login to unwrap, or to wrap");
    }
    table.finish();
    let settings = vault_transit::Settings {
        addresses: addresses?,
        ca_file: ca_file?,
        namespace,
        mount: mount?,
        key: key?,
        signer: signer?,
        custodian: custodian?,
        rotator: rotator?,
        timeouts: Timeouts {
            connect: connect?,
            request: request?,
        },
    };
    Some(KmsConfig::VaultTransit(Box::new(settings)))
}

/// The key's name must name the environment, so that one environment's
/// configuration cannot use another's key by mistake.
fn key(table: &Table<'_>, environment: Option<&Environment>) -> Option<String> {
    let given = table.optional_text("key");
    let environment = environment?;
    let Some(key) = given else {
        return Some(format!("countersign-{environment}"));
    };
    if !key.ends_with(&format!("-{environment}")) {
        table.note(format!(
            "`vault.key` must end with \"-{environment}\": one key per environment"
        ));
        return None;
    }
    Some(key)
}

/// A login, if its table is there.
fn login(table: Table<'_>) -> Option<Option<Login>> {
    if !table.is_there() {
        return Some(None);
    }
    let login = match table.one_of("method", &["kubernetes", "jwt", "approle", "token-file"])? {
        "kubernetes" => {
            token_login(&table, "kubernetes").map(|(mount, role, token_file)| Login::Kubernetes {
                mount,
                role,
                token_file,
            })
        }
        "jwt" => token_login(&table, "jwt").map(|(mount, role, token_file)| Login::Jwt {
            mount,
            role,
            token_file,
        }),
        "approle" => {
            let mount = table.text_or("mount", "approle");
            let role_id = table.text("role_id", "the role id of the AppRole");
            let secret_id_file =
                table.path("secret_id_file", "the path of a file with the secret id");
            mount
                .zip(role_id)
                .zip(secret_id_file)
                .map(|((mount, role_id), secret_id_file)| Login::AppRole {
                    mount,
                    role_id,
                    secret_id_file,
                })
        }
        _ => table
            .path("token_file", "the path of a file with a Vault token")
            .map(|path| Login::TokenFile { path }),
    };
    table.finish();
    login.map(Some)
}

fn token_login(table: &Table<'_>, mount: &str) -> Option<(String, String, PathBuf)> {
    let mount = table.text_or("mount", mount);
    let role = table.text("role", "the role in Vault");
    let token_file = table.text_or("token_file", PROJECTED_TOKEN);
    Some((mount?, role?, token_file?.into()))
}
