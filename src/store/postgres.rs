//! The shared store: a Postgres database that many sidecars use at once.
//!
//! - TLS 1.3 with a certificate of the configured authority that names the host;
//!   logins are SCRAM-SHA-256 bound to that channel (RFC 5929
//!   `tls-server-end-point`), so that a relay learns and reuses nothing.
//! - The schema is in the database's default schema (`search_path`). The role
//!   that serves needs SELECT on `countersign_schema` and SELECT, INSERT, UPDATE
//!   on `server_wallet_key_shares`; only a migration needs CREATE, and may run as
//!   another role.
//! - A broken or silent connection is dropped and replaced; nothing needs a
//!   restart. A read on a pooled connection that turns out to be broken is tried
//!   once more. A write is not: it may have happened.
//!
//! `access_count` and `last_accessed_at` are 0 and null: they are a projection of
//! the audit log, which alone counts exactly, and nothing on the signing path
//! writes them.
#![forbid(unsafe_code)]

mod connection;
mod error;
mod row;
mod schema;

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use deadpool::{
    Runtime,
    managed::{Object, Pool, PoolError},
};
use tokio::time::{error::Elapsed, timeout};
use tokio_postgres::{Row, Statement, types::ToSql};
use uuid::Uuid;

use self::{
    connection::{Connector, Statements},
    error::failed,
};
use super::{
    PAGE_MAX, ShareStore, StoreError, StoreErrorKind,
    row::{require_size, revision, swapped},
    schema::Migration,
};
use crate::{
    key::{Revision, ShareId, ShareState, WalletId},
    policy::Opening,
    record::{ShareDescription, ShareRecord},
};

/// How much later than the server this side gives up on a statement: a server
/// that answers at all says so itself, and the connection stays in use.
const GRACE: Duration = Duration::from_millis(500);

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
    /// For a statement.
    pub statement_timeout: Duration,
}

/// Which of the prepared statements.
type Pick = fn(&Statements) -> &Statement;
/// What a statement's parameters take.
type Value<'a> = &'a (dyn ToSql + Sync);

/// The Postgres store.
pub struct Postgres {
    pool: Pool<Connector>,
    statement_timeout: Duration,
}

impl Postgres {
    /// Connects, and brings the schema up to date.
    ///
    /// # Errors
    /// `Schema` when it needs a newer reader than this one, or a migration that
    /// the role may not apply; otherwise as any call.
    pub async fn open(settings: Settings) -> Result<Self, StoreError> {
        Self::open_as(settings, schema::MIGRATIONS).await
    }

    /// Connects as the binary that knows `migrations` would.
    ///
    /// # Errors
    /// As [`Postgres::open`].
    #[doc(hidden)]
    pub async fn open_as(
        settings: Settings,
        migrations: &'static [Migration],
    ) -> Result<Self, StoreError> {
        let statement_timeout = settings.statement_timeout;
        let (size, wait) = (settings.pool_size.max(1), settings.connect_timeout);
        let connector = Connector::new(settings, migrations)?;
        connector.migrate().await?;
        let pool = Pool::builder(connector)
            .runtime(Runtime::Tokio1)
            .max_size(size)
            .wait_timeout(Some(wait))
            .build()
            .map_err(|error| StoreError::new(StoreErrorKind::Failed, error.to_string()))?;
        let store = Self {
            pool,
            statement_timeout,
        };
        store.status().await?;
        Ok(store)
    }

    async fn read(&self, query: Pick, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let connection = self.connection().await?;
        let pooled = Object::metrics(&connection).recycle_count > 0;
        match self.query(connection, query, values).await {
            Err(error) if pooled && is_broken(&error) => {
                self.query(self.connection().await?, query, values).await
            }
            result => result,
        }
    }

    /// Gives the number of rows that were written.
    async fn write(&self, statement: Pick, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let connection = self.connection().await?;
        let statement = statement(&connection.statements);
        let answer = connection.client().execute(statement, values);
        let answer = timeout(self.patience(), answer).await;
        self.judge(connection, answer)
    }

    async fn query(
        &self,
        connection: Object<Connector>,
        query: Pick,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let query = query(&connection.statements);
        let answer = connection.client().query(query, values);
        let answer = timeout(self.patience(), answer).await;
        self.judge(connection, answer)
    }

    /// A connection that its statement leaves in doubt is not pooled again.
    fn judge<T>(
        &self,
        connection: Object<Connector>,
        answer: Result<Result<T, tokio_postgres::Error>, Elapsed>,
    ) -> Result<T, StoreError> {
        let Ok(answer) = answer else {
            drop(Object::take(connection));
            return Err(StoreError::new(
                StoreErrorKind::Timeout,
                format!("no answer within {:?}", self.patience()),
            ));
        };
        answer.map_err(failed).inspect_err(|error| {
            if is_broken(error) {
                drop(Object::take(connection));
            }
        })
    }

    fn patience(&self) -> Duration {
        self.statement_timeout + GRACE
    }

    async fn connection(&self) -> Result<Object<Connector>, StoreError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(_) => {
                StoreError::new(StoreErrorKind::Timeout, "all connections are in use")
            }
            error => StoreError::new(StoreErrorKind::Failed, error.to_string()),
        })
    }
}

/// Whether another connection may do better: this one broke, or it is in a state
/// that the statements do not fit (a pooler swapped its session, say).
fn is_broken(error: &StoreError) -> bool {
    matches!(
        error.kind,
        StoreErrorKind::Unreachable | StoreErrorKind::Failed
    )
}

#[async_trait]
impl ShareStore for Postgres {
    async fn describe(&self, share: ShareId) -> Result<Option<ShareDescription>, StoreError> {
        let rows = self.read(|all| &all.describe, &[&share.as_uuid()]).await?;
        rows.first().map(row::describe).transpose()
    }

    async fn fetch(&self, opening: Opening<'_>) -> Result<Option<ShareRecord>, StoreError> {
        let share = opening.share().as_uuid();
        let rows = self.read(|all| &all.fetch, &[&share]).await?;
        rows.first().map(row::record).transpose()
    }

    async fn put(
        &self,
        record: &ShareRecord,
        expected: Option<Revision>,
    ) -> Result<Revision, StoreError> {
        require_size(record)?;
        match expected {
            None => self.insert(record).await,
            Some(expected) => self.replace(record, expected).await,
        }
    }

    async fn list(
        &self,
        wallet: Option<&WalletId>,
        after: Option<ShareId>,
        limit: usize,
    ) -> Result<Vec<ShareDescription>, StoreError> {
        // No share has the nil id, which sorts first.
        let after = after.map_or(Uuid::nil(), |share| share.as_uuid());
        let limit = i64::try_from(limit.min(PAGE_MAX)).unwrap_or(0);
        let rows = match wallet.map(WalletId::as_str) {
            None => self.read(|all| &all.list, &[&after, &limit]).await?,
            Some(wallet) => {
                self.read(|all| &all.list_wallet, &[&wallet, &after, &limit])
                    .await?
            }
        };
        rows.iter().map(row::describe).collect()
    }

    async fn set_state(
        &self,
        share: ShareId,
        state: ShareState,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        let (state, share, revision) = (state.as_str(), share.as_uuid(), revision(expected));
        let changed = self
            .write(|all| &all.set_state, &[&state, &share, &revision])
            .await?;
        swapped(changed, expected)
    }

    async fn status(&self) -> Result<(), StoreError> {
        self.read(|all| &all.status, &[]).await.map(drop)
    }
}

impl Postgres {
    async fn insert(&self, record: &ShareRecord) -> Result<Revision, StoreError> {
        let ShareDescription {
            identity,
            public_key,
            state,
            kek,
            created_at,
            revision: _,
        } = &record.description;
        let values: [Value<'_>; 14] = [
            &identity.share.as_uuid(),
            &identity.environment.as_str(),
            &identity.wallet.as_str(),
            &identity.address.as_ref().map(|address| address.as_str()),
            &identity.algorithm.as_str(),
            created_at,
            &public_key.as_bytes(),
            &i64::from(identity.version.get()),
            &state.as_str(),
            &kek.provider(),
            &kek.mount(),
            &kek.name(),
            &kek.to_string(),
            &record.envelope,
        ];
        self.write(|all| &all.insert, &values).await?;
        Ok(Revision::FIRST)
    }

    async fn replace(
        &self,
        record: &ShareRecord,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        let ShareDescription {
            identity,
            public_key,
            state,
            kek,
            ..
        } = &record.description;
        let values: [Value<'_>; 10] = [
            &public_key.as_bytes(),
            &i64::from(identity.version.get()),
            &state.as_str(),
            &kek.provider(),
            &kek.mount(),
            &kek.name(),
            &kek.to_string(),
            &record.envelope,
            &identity.share.as_uuid(),
            &revision(expected),
        ];
        let changed = self.write(|all| &all.replace, &values).await?;
        swapped(changed, expected)
    }
}
