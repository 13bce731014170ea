//! The connections in use and in waiting, and what a statement does to them.

use std::time::Duration;

use deadpool::{
    Runtime,
    managed::{Object, Pool, PoolError},
};
use tokio::time::{error::Elapsed, timeout};
use tokio_postgres::{Row, Statement, types::ToSql};

use super::{
    Settings,
    connection::{Connector, Prepared},
    error::failed,
    schema::Schema,
};
use crate::store::{StoreError, StoreErrorKind};

/// How much later than the server this side gives up on a statement: a server
/// that answers at all says so itself, and the connection stays in use.
const GRACE: Duration = Duration::from_millis(500);

/// Which of the prepared statements.
pub type Pick<S> = fn(&S) -> &Statement;
/// What a statement's parameters take.
pub type Value<'a> = &'a (dyn ToSql + Sync);

/// The connections to one database.
pub struct Connections<S: Prepared> {
    pool: Pool<Connector<S>>,
    statement_timeout: Duration,
}

impl<S: Prepared> Connections<S> {
    /// Reads the certificate authority, and connects to nothing yet.
    ///
    /// # Errors
    /// `Tls` when there is none, or the host is nothing that a certificate names.
    pub fn new(settings: Settings, schema: Schema) -> Result<Self, StoreError> {
        let statement_timeout = settings.statement_timeout;
        let (size, wait) = (settings.pool_size.max(1), settings.connect_timeout);
        let connector = Connector::new(settings, schema)?;
        let pool = Pool::builder(connector)
            .runtime(Runtime::Tokio1)
            .max_size(size)
            .wait_timeout(Some(wait))
            .build()
            .map_err(|error| StoreError::new(StoreErrorKind::Failed, error.to_string()))?;
        Ok(Self { pool, statement_timeout })
    }

    /// Brings the schema up to date, on a connection of its own.
    ///
    /// # Errors
    /// `Schema` when it needs a newer reader than this one, or a migration that the role
    /// may not apply; otherwise as any statement.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.pool.manager().migrate().await
    }

    /// Gives the rows that a statement finds.
    ///
    /// # Errors
    /// Any but `Exists` and `Conflict`.
    pub async fn read(&self, query: Pick<S>, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
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
    ///
    /// # Errors
    /// Any but `Conflict`. After `Unreachable` and `Timeout` it may have been done.
    pub async fn write(&self, statement: Pick<S>, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let connection = self.connection().await?;
        let statement = statement(&connection.statements);
        let answer = connection.client().execute(statement, values);
        let answer = timeout(self.patience(), answer).await;
        self.judge(connection, answer)
    }

    async fn query(
        &self,
        connection: Object<Connector<S>>,
        query: Pick<S>,
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
        connection: Object<Connector<S>>,
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

    async fn connection(&self) -> Result<Object<Connector<S>>, StoreError> {
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
    matches!(error.kind, StoreErrorKind::Unreachable | StoreErrorKind::Failed)
}
