//! A Postgres database: connections to it, and the migrations of what is in it. The store
//! of shares is in one, and the table of the audit log ([`crate::central`]) in one.
//!
//! - TLS 1.3 with a certificate of the configured authority that names the host;
//!   logins are SCRAM-SHA-256 bound to that channel (RFC 5929
//!   `tls-server-end-point`), so that a relay learns and reuses nothing.
//! - Tables are in the database's default schema (`search_path`). Only a migration needs
//!   CREATE, and may run as another role than the one that serves.
//! - Statements stay prepared, so a pooler in between must pool sessions.
//! - A broken or silent connection is dropped and replaced; nothing needs a
//!   restart. A read on a pooled connection that turns out to be broken is tried
//!   once more. A write is not: it may have happened.

mod connection;
mod error;
mod pool;
mod schema;

use std::{path::PathBuf, time::Duration};

pub use connection::Prepared;
pub use pool::{Connections, Value};
pub use schema::Schema;

/// Which database, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A DNS name or an IP address; the server's certificate must name it.
    pub host: String,
    /// Usually 5432.
    pub port: u16,
    /// The database's name.
    pub database: String,
    /// The role to log in as.
    pub user: String,
    /// Holds the role's password; read at each login, white space at its ends
    /// does not count.
    pub password_file: PathBuf,
    /// PEM certificates of the authorities that may vouch for the server; no
    /// others do.
    pub ca_file: PathBuf,
    /// The most connections at once, at least 1.
    pub pool_size: usize,
    /// For a connection: waiting for a free one, and making a new one.
    pub connect_timeout: Duration,
    /// For a statement, at least a millisecond.
    pub statement_timeout: Duration,
}
