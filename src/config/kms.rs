//! `[kms]` and `[vault]`: what wraps DEKs.

use std::{path::PathBuf, time::Duration};

use super::document::Table;
use crate::{
    envelope::KekRef,
    key::Environment,
    kms::{
        local,
        vault_transit::{self, Login, Server, Timeouts, names},
    },
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

/// What a mount in Vault is.
const MOUNT: &str = "a path of A-Z a-z 0-9 . _ - and /, without empty, . or .. parts";
/// What the mount of a KEK is, which a record names.
const TRANSIT_MOUNT: &str =
    "a path of at most 64 of A-Z a-z 0-9 . _ - and /, without empty, . or .. parts";

impl KmsConfig {
    /// The KEK that records are wrapped by, without asking the KMS.
    pub fn kek(&self, environment: &Environment) -> Option<KekRef> {
        match self {
            Self::Local { .. } => Some(local::kek_of(environment)),
            Self::VaultTransit(settings) => names::kek(&settings.mount, &settings.key).ok(),
        }
    }

    /// The problems with files that have to be there before a start. A document
    /// can be checked where they are not, and so reading it does not look.
    pub fn missing_files(&self) -> Vec<String> {
        match self {
            // Made when it is not there.
            Self::Local { .. } => Vec::new(),
            Self::VaultTransit(settings) => {
                let problem = settings.check_files().err();
                let problem = problem.map(|error| format!("`vault.ca_file`: {error}"));
                problem.into_iter().collect()
            }
        }
    }
}

/// The KMS, and how the store in Vault is reached where there is one, `in_vault`.
pub(super) fn read(
    table: Table<'_>,
    vault: Table<'_>,
    in_vault: bool,
    environment: Option<&Environment>,
) -> (Option<KmsConfig>, Option<(Server, Login)>) {
    let kind = table.one_of("kind", &["vault-transit", "local"]);
    let is_local = kind == Some("local");
    let kms = if is_local { local(&table, &vault, in_vault, environment) } else { None };
    if kind.is_none() {
        // What else is wrong is worth knowing, of whichever kind it is.
        table.optional_text("kek_file");
    }
    if !vault.is_there() {
        if !is_local && kind.is_some() {
            table.note("kind \"vault-transit\" needs a table [vault] with its addresses");
        } else if in_vault {
            vault.note("`store.kind` \"vault-kv\" needs a table [vault] with its addresses");
        }
        table.finish();
        return (kms, None);
    }
    if is_local && !in_vault {
        // It was said that it does not belong here.
        table.finish();
        return (kms, None);
    }
    let server = server(&vault);
    let store = login(vault.table("store"));
    match (&store, in_vault) {
        (Some(None), true) => {
            vault.note("[vault.store] is needed: the login of `store.kind` \"vault-kv\"");
        }
        (Some(Some(_)), false) => {
            vault.note("[vault.store] is for `store.kind` \"vault-kv\": remove one of the two");
        }
        _ => {}
    }
    let kms = if is_local { kms } else { transit(&vault, server.clone(), environment) };
    vault.finish();
    table.finish();
    (kms.filter(|_| kind.is_some()), server.zip(store.flatten()))
}

/// Where Vault is.
fn server(table: &Table<'_>) -> Option<Server> {
    let addresses = addresses(table);
    let ca_file =
        table.path("ca_file", "the path of the PEM certificate of the authority to trust");
    let namespace = table.or("namespace", "a text of visible ASCII", None, |value| {
        let namespace = value.as_str().filter(is(names::namespace))?;
        Some(Some(namespace.to_owned()))
    });
    let patience = Duration::from_millis(100)..=Duration::from_secs(60);
    let default = Timeouts::default();
    let connect = table.duration("connect_timeout", default.connect, patience.clone());
    let request = table.duration("request_timeout", default.request, patience);
    Some(Server {
        addresses: addresses?,
        ca_file: ca_file?,
        namespace: namespace?,
        timeouts: Timeouts { connect: connect?, request: request? },
    })
}

fn local(
    table: &Table<'_>,
    vault: &Table<'_>,
    in_vault: bool,
    environment: Option<&Environment>,
) -> Option<KmsConfig> {
    if environment.is_some_and(Environment::is_production) {
        table.note("the local KEK is for development and refused in a production environment");
    }
    if vault.is_there() && !in_vault {
        vault.note("[vault] is for `kms.kind` \"vault-transit\": remove one of the two");
    }
    let kek_file = table.path("kek_file", "the path of the KEK file, mode 0600")?;
    Some(KmsConfig::Local { kek_file })
}

fn transit(
    table: &Table<'_>,
    server: Option<Server>,
    environment: Option<&Environment>,
) -> Option<KmsConfig> {
    let mount = checked(table, "mount", "transit", TRANSIT_MOUNT, names::mount);
    let key = key(table, environment);
    let logins = ["signer", "custodian", "rotator"].map(|role| login(table.table(role)));
    let [signer, custodian, rotator] = logins;
    if let (Some(None), Some(None), Some(None)) = (&signer, &custodian, &rotator) {
        table.note(
            "[vault.signer], [vault.custodian] or [vault.rotator] is needed: a login to unwrap, to \
             wrap, or to rewrap",
        );
    }
    let Server { addresses, ca_file, namespace, timeouts } = server?;
    let settings = vault_transit::Settings {
        addresses,
        ca_file,
        namespace,
        mount: mount?,
        key: key?,
        signer: signer?,
        custodian: custodian?,
        rotator: rotator?,
        timeouts,
    };
    Some(KmsConfig::VaultTransit(Box::new(settings)))
}

/// Vault's nodes.
fn addresses(table: &Table<'_>) -> Option<Vec<String>> {
    let what = "a list of \"https://host:port\", without paths, in order of preference";
    let addresses = table.or("addresses", what, Vec::new(), |value| {
        let addresses = value.as_array()?.iter();
        let addresses = addresses.map(|item| item.get_ref().as_str().filter(is(names::address)));
        addresses.map(|address| address.map(ToOwned::to_owned)).collect()
    });
    if addresses.as_ref().is_some_and(Vec::is_empty) {
        table.note("`vault.addresses` is missing: [\"https://host:port\"], in order of preference");
    }
    addresses
}

/// The Transit key, which names the environment.
fn key(table: &Table<'_>, environment: Option<&Environment>) -> Option<String> {
    let Some(environment) = environment else {
        // Its problem is known, and leaves the name's end unknown.
        return checked(table, "key", "", "the name of a Transit key", names::key);
    };
    let what = format!(
        "a name that ends with \"-{environment}\", one key per environment, of at most 64 of \
         A-Z a-z 0-9 . _ -"
    );
    let default = names::key_of(environment);
    table.or("key", &what, default, |value| {
        let key = value.as_str().filter(is(names::key))?;
        names::is_key_of(key, environment).then(|| key.to_owned())
    })
}

/// A text with a default, which Vault's settings check as well.
pub(super) fn checked<T, E>(
    table: &Table<'_>,
    key: &'static str,
    default: &str,
    what: &str,
    check: fn(&str) -> Result<T, E>,
) -> Option<String> {
    table.or(key, what, default.to_owned(), |value| {
        let text = value.as_str().filter(is(check))?;
        Some(text.to_owned())
    })
}

/// Whether a check accepts a text.
fn is<T, E>(check: fn(&str) -> Result<T, E>) -> impl Fn(&&str) -> bool {
    move |text| check(text).is_ok()
}

/// A login, if its table is there.
fn login(table: Table<'_>) -> Option<Option<Login>> {
    if !table.is_there() {
        return Some(None);
    }
    let methods = ["kubernetes", "jwt", "approle", "token-file"];
    let login = match table.one_of("method", &methods) {
        Some("kubernetes") => token_login(&table, "kubernetes")
            .map(|(mount, role, token_file)| Login::Kubernetes { mount, role, token_file }),
        Some("jwt") => token_login(&table, "jwt").map(|(mount, role, token_file)| Login::Jwt {
            mount,
            role,
            token_file,
        }),
        Some("approle") => {
            let mount = login_mount(&table, "approle");
            let role_id = table.text("role_id", "the role id of the AppRole");
            let secret_id_file =
                table.path("secret_id_file", "the path of a file with the secret id");
            mount.zip(role_id).zip(secret_id_file).map(|((mount, role_id), secret_id_file)| {
                Login::AppRole { mount, role_id, secret_id_file }
            })
        }
        Some(_) => table
            .path("token_file", "the path of a file with a Vault token")
            .map(|path| Login::TokenFile { path }),
        // What else is wrong is worth knowing, by whichever method it is.
        None => {
            login_mount(&table, "");
            for key in ["role", "role_id", "token_file", "secret_id_file"] {
                table.optional_text(key);
            }
            None
        }
    };
    table.finish();
    login.map(Some)
}

fn token_login(table: &Table<'_>, mount: &str) -> Option<(String, String, PathBuf)> {
    let mount = login_mount(table, mount);
    let role = table.text("role", "the role in Vault");
    let token_file = table.text_or("token_file", PROJECTED_TOKEN);
    Some((mount?, role?, token_file?.into()))
}

/// Where the auth method is mounted.
fn login_mount(table: &Table<'_>, default: &str) -> Option<String> {
    checked(table, "mount", default, MOUNT, names::login_mount)
}
