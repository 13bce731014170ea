//! `[store]`: where records are kept.

use std::{path::PathBuf, time::Duration};

use super::{document::Table, kms};
use crate::{
    key::Environment,
    kms::vault_transit::{Login, Server, names},
    store::{postgres::Settings, vault_kv},
};

/// A store, by kind.
#[derive(Clone, Debug)]
pub enum StoreConfig {
    /// One SQLite file.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// A Postgres database.
    Postgres(Settings),
    /// A read-only directory of envelope files.
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// A KV engine in Vault.
    VaultKv(Box<vault_kv::Settings>),
}

/// A store as its own table says it, before Vault's is read.
pub(super) enum Told {
    Whole(StoreConfig),
    VaultKv { mount: String, prefix: String },
}

/// What a path of secrets is.
const PREFIX: &str = "a path of A-Z a-z 0-9 . _ - and /, without empty, . or .. parts";

impl StoreConfig {
    /// The problems with files that have to be there before a start.
    pub fn missing_files(&self) -> Vec<String> {
        let Self::VaultKv(settings) = self else { return Vec::new() };
        let problem = settings.server.check_files().err();
        problem.map(|error| format!("`vault.ca_file`: {error}")).into_iter().collect()
    }
}

impl Told {
    /// The store, with what [vault] says.
    pub fn with(
        self,
        vault: Option<(Server, Login)>,
        environment: Option<&Environment>,
    ) -> Option<StoreConfig> {
        match self {
            Self::Whole(store) => Some(store),
            Self::VaultKv { mount, prefix } => {
                let ((server, login), environment) = vault.zip(environment.cloned())?;
                let settings = vault_kv::Settings { server, login, mount, prefix, environment };
                Some(StoreConfig::VaultKv(Box::new(settings)))
            }
        }
    }
}

pub(super) fn read(table: Table<'_>) -> Option<Told> {
    let kinds = ["sqlite", "postgres", "vault-kv", "directory"];
    let store = match table.one_of("kind", &kinds)? {
        "sqlite" => table
            .path("path", "the path of the SQLite file")
            .map(|path| Told::Whole(StoreConfig::Sqlite { path })),
        "directory" => table
            .path("path", "the path of the directory with the envelope files")
            .map(|path| Told::Whole(StoreConfig::Directory { path })),
        "vault-kv" => {
            let mount = kms::checked(&table, "mount", "secret", PREFIX, names::secret_path);
            let prefix = kms::checked(&table, "prefix", "countersign", PREFIX, names::secret_path);
            mount.zip(prefix).map(|(mount, prefix)| Told::VaultKv { mount, prefix })
        }
        _ => postgres(&table).map(StoreConfig::Postgres).map(Told::Whole),
    };
    table.finish();
    store
}

fn postgres(table: &Table<'_>) -> Option<Settings> {
    let pool_size = table.number("pool_size", Some(8), 1..=256);
    let settings = database(table);
    Some(Settings { pool_size: pool_size? as usize, ..settings? })
}

/// A Postgres database, for one connection.
pub(super) fn database(table: &Table<'_>) -> Option<Settings> {
    let host = table.text("host", "the database server's name, as in its certificate");
    let port = table.number("port", Some(5432), 1..=65535);
    let database = table.text("database", "the database's name");
    let user = table.text("user", "the role to log in as");
    let password_file = table.path("password_file", "the path of a file with the password");
    let ca_file =
        table.path("ca_file", "the path of the PEM certificate of the authority to trust");
    let patience = Duration::from_millis(100)..=Duration::from_secs(60);
    let connect_timeout =
        table.duration("connect_timeout", Duration::from_secs(3), patience.clone());
    let statement_timeout = table.duration("statement_timeout", Duration::from_secs(3), patience);
    Some(Settings {
        host: host?,
        port: u16::try_from(port?).ok()?,
        database: database?,
        user: user?,
        password_file: password_file?,
        ca_file: ca_file?,
        pool_size: 1,
        connect_timeout: connect_timeout?,
        statement_timeout: statement_timeout?,
    })
}
