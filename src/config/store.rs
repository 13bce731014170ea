//! `[store]`: where records are kept.

use std::{path::PathBuf, time::Duration};

use super::document::Table;
use crate::store::postgres::Settings;

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
}

pub(super) fn read(table: Table<'_>) -> Option<StoreConfig> {
    let store = match table.one_of("kind", &["sqlite", "postgres", "directory"])? {
        "sqlite" => table
            .path("path", "the path of the SQLite file")
            .map(|path| StoreConfig::Sqlite { path }),
        "directory" => table
            .path("path", "the path of the directory with the envelope files")
            .map(|path| StoreConfig::Directory { path }),
        _ => postgres(&table).map(StoreConfig::Postgres),
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
