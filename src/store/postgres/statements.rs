//! The statements of the store, prepared.

use tokio_postgres::{Client, Statement};

use crate::store::{database::Prepared, statement};

/// Every statement of [`statement::ALL`], and the one of Postgres alone, prepared.
pub struct Statements {
    pub describe: Statement,
    pub describe_all: Statement,
    pub fetch: Statement,
    pub list: Statement,
    pub list_wallet: Statement,
    pub insert: Statement,
    pub replace: Statement,
    pub set_state: Statement,
    pub schedule: Statement,
    pub overwrite: Statement,
    pub remove: Statement,
    pub counted: Statement,
    pub count: Statement,
    pub forget: Statement,
    pub status: Statement,
}

impl Prepared for Statements {
    async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        let (
            describe,
            describe_all,
            fetch,
            list,
            list_wallet,
            insert,
            replace,
            set_state,
            schedule,
            overwrite,
            remove,
            counted,
            count,
            forget,
            status,
        ) = tokio::try_join!(
            client.prepare(statement::DESCRIBE),
            client.prepare(super::DESCRIBE_ALL),
            client.prepare(statement::FETCH),
            client.prepare(statement::LIST),
            client.prepare(statement::LIST_WALLET),
            client.prepare(statement::INSERT),
            client.prepare(statement::REPLACE),
            client.prepare(statement::SET_STATE),
            client.prepare(statement::SCHEDULE),
            client.prepare(statement::OVERWRITE),
            client.prepare(statement::REMOVE),
            client.prepare(statement::COUNTED),
            client.prepare(super::COUNT),
            client.prepare(statement::FORGET),
            client.prepare(statement::STATUS),
        )?;
        Ok(Self {
            describe,
            describe_all,
            fetch,
            list,
            list_wallet,
            insert,
            replace,
            set_state,
            schedule,
            overwrite,
            remove,
            counted,
            count,
            forget,
            status,
        })
    }
}
