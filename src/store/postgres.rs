//! The shared store: a Postgres database that many sidecars use at once.
//!
//! `database` says how it is connected to. The role that serves needs SELECT on
//! `countersign_schema` and SELECT, INSERT, UPDATE on `server_wallet_key_shares` and
//! `countersign_audit_cursors`.
//!
//! `access_count` and `last_accessed_at` are a projection of the audit log, which
//! alone counts exactly; nothing on the signing path writes them.
#![forbid(unsafe_code)]

mod row;
mod statements;

use std::time::SystemTime;

use async_trait::async_trait;
use uuid::Uuid;

pub use super::database::Settings;

use self::statements::Statements;
use super::{
    ShareStore, ShareUse, StoreError,
    database::{Connections, Schema, Value},
    row::{OVERWRITTEN, require_size, revision, swapped},
    schema::Migration,
    statement::select,
};
use crate::{
    key::{Environment, Revision, ShareId, ShareState, WalletId},
    policy::Opening,
    record::{ShareDescription, ShareRecord},
};

/// What makes the tables.
const MIGRATIONS: &[Migration] = &[
    Migration { min_reader: 1, sql: include_str!("postgres/0001_shares.sql") },
    Migration { min_reader: 1, sql: include_str!("postgres/0002_counts.sql") },
    Migration { min_reader: 1, sql: include_str!("postgres/0003_custody.sql") },
];

/// $1 log, $2 from, $3 to, $4 shares, $5 their counts, $6 when last: one statement, and so
/// one transaction. A log that nobody counted is counted from 0.
const COUNT: &str = "
    WITH moved AS (
        INSERT INTO countersign_audit_cursors AS cursors (log, next)
        SELECT $1, $3
        WHERE $2::bigint = 0 OR EXISTS (SELECT 1 FROM countersign_audit_cursors WHERE log = $1)
        ON CONFLICT (log) DO UPDATE SET next = excluded.next, changed_at = now()
        WHERE cursors.next = $2
        RETURNING next
    ), counted AS (
        UPDATE server_wallet_key_shares AS share SET
            access_count = access_count + used.count,
            last_accessed_at = greatest(last_accessed_at, used.last)
        FROM unnest($4::uuid[], $5::bigint[], $6::timestamptz[]) AS used (share, count, last)
        WHERE share.id = used.share AND EXISTS (SELECT 1 FROM moved)
    )
    SELECT next FROM moved";

/// $1 shares.
const DESCRIBE_ALL: &str = select!(" FROM server_wallet_key_shares WHERE id = ANY($1)");

/// The Postgres store.
pub struct Postgres(Connections<Statements>);

impl Postgres {
    /// Connects, and brings the schema up to date.
    ///
    /// # Errors
    /// `Schema` when it needs a newer reader than this one, or a migration that
    /// the role may not apply; otherwise as any call.
    pub async fn open(settings: Settings) -> Result<Self, StoreError> {
        Self::open_as(settings, MIGRATIONS).await
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
        let schema = Schema { table: "countersign_schema", migrations };
        let store = Self(Connections::new(settings, schema)?);
        store.0.migrate().await?;
        store.status().await?;
        Ok(store)
    }
}

#[async_trait]
impl ShareStore for Postgres {
    async fn describe(&self, share: ShareId) -> Result<Option<ShareDescription>, StoreError> {
        let rows = self.0.read(|all| &all.describe, &[&share.as_uuid()]).await?;
        rows.first().map(row::describe).transpose()
    }

    async fn describe_all(&self, shares: &[ShareId]) -> Result<Vec<ShareDescription>, StoreError> {
        let shares: Vec<_> = shares.iter().map(|share| share.as_uuid()).collect();
        let rows = self.0.read(|all| &all.describe_all, &[&shares]).await?;
        rows.iter().map(row::describe).collect()
    }

    async fn fetch(&self, opening: Opening<'_>) -> Result<Option<ShareRecord>, StoreError> {
        let share = opening.share().as_uuid();
        let rows = self.0.read(|all| &all.fetch, &[&share]).await?;
        rows.first().map(|row| row::record(row, opening.public_key())).transpose()
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
        environment: &Environment,
        wallet: Option<&WalletId>,
        after: Option<ShareId>,
        limit: usize,
    ) -> Result<Vec<ShareDescription>, StoreError> {
        let environment = environment.as_str();
        // No share has the nil id, which sorts first.
        let after = after.map_or(Uuid::nil(), |share| share.as_uuid());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = match wallet.map(WalletId::as_str) {
            None => self.0.read(|all| &all.list, &[&environment, &after, &limit]).await?,
            Some(wallet) => {
                self.0
                    .read(|all| &all.list_wallet, &[&environment, &wallet, &after, &limit])
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
        let changed = self.0.write(|all| &all.set_state, &[&state, &share, &revision]).await?;
        swapped(changed, expected)
    }

    async fn schedule(
        &self,
        share: ShareId,
        after: Option<SystemTime>,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        let (share, revision) = (share.as_uuid(), revision(expected));
        let changed = self.0.write(|all| &all.schedule, &[&after, &share, &revision]).await?;
        swapped(changed, expected)
    }

    async fn remove(&self, share: ShareId, expected: Revision) -> Result<(), StoreError> {
        let (share, revision) = (share.as_uuid(), revision(expected));
        let values: [Value<'_>; 3] = [&OVERWRITTEN, &share, &revision];
        swapped(self.0.write(|all| &all.overwrite, &values).await?, expected)?;
        swapped(self.0.write(|all| &all.remove, &[&share, &revision]).await?, expected).map(drop)
    }

    async fn counted(&self, log: Uuid) -> Result<u64, StoreError> {
        let rows = self.0.read(|all| &all.counted, &[&log]).await?;
        rows.first().map_or(Ok(0), row::next)
    }

    async fn count(
        &self,
        log: Uuid,
        from: u64,
        to: u64,
        uses: &[ShareUse],
    ) -> Result<bool, StoreError> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let shares: Vec<_> = uses.iter().map(|one| one.share.as_uuid()).collect();
        let counts: Vec<_> = uses.iter().map(|one| number(one.count)).collect();
        let last: Vec<_> = uses.iter().map(|one| one.last).collect();
        let values: [Value<'_>; 6] = [&log, &number(from), &number(to), &shares, &counts, &last];
        // Tried once more on a new connection: done twice, the second finds that it is done.
        let moved = self.0.read(|all| &all.count, &values).await?;
        Ok(!moved.is_empty())
    }

    async fn forget(&self, log: Uuid, at: u64) -> Result<bool, StoreError> {
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        Ok(self.0.write(|all| &all.forget, &[&log, &at]).await? > 0)
    }

    async fn status(&self) -> Result<(), StoreError> {
        self.0.read(|all| &all.status, &[]).await.map(drop)
    }
}

impl Postgres {
    async fn insert(&self, record: &ShareRecord) -> Result<Revision, StoreError> {
        let ShareDescription { identity, public_key, state, kek, created_at, .. } =
            &record.description;
        let values: [Value<'_>; 15] = [
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
            &identity.binding.as_str(),
        ];
        self.0.write(|all| &all.insert, &values).await?;
        Ok(Revision::FIRST)
    }

    async fn replace(
        &self,
        record: &ShareRecord,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        let ShareDescription { identity, public_key, state, kek, .. } = &record.description;
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
        let changed = self.0.write(|all| &all.replace, &values).await?;
        swapped(changed, expected)
    }
}
