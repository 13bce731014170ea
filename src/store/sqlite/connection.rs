//! One connection that writes and a few that read.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

use super::{
    error::{failed, stopped},
    schema,
};
use crate::store::{StoreError, StoreErrorKind, schema::Migration};

/// Readers that may run at once; a read takes some microseconds.
const READERS: usize = 4;
/// How long a statement on a blocking thread waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The connections to one file.
pub(super) struct Connections {
    writer: Arc<Mutex<Connection>>,
    readers: Arc<Readers>,
}

struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

/// A reader in use. It goes back before its permit does, also when the caller no
/// longer waits or the query panics.
struct Lease {
    connection: Option<Connection>,
    readers: Arc<Readers>,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    pub fn open(path: &Path, migrations: &[Migration]) -> Result<Self, StoreError> {
        restrict(path)?;
        let mut writer = connect(path)?;
        schema::migrate(&mut writer, migrations)?;
        let mut readers = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            let reader = connect(path)?;
            reader.pragma_update(None, "query_only", true).map_err(failed)?;
            reader.busy_timeout(Duration::ZERO).map_err(failed)?;
            readers.push(reader);
        }
        Ok(Self {
            writer: Arc::new(Mutex::new(writer)),
            readers: Arc::new(Readers {
                idle: Mutex::new(readers),
                permits: Arc::new(Semaphore::new(READERS)),
            }),
        })
    }

    /// Looks up one row by its key, on this thread: some microseconds, where the
    /// way to a blocking thread and back takes many times that. A reader in WAL
    /// mode waits for nobody but another process that recovers the file or holds
    /// it exclusively; the lookup then moves to a blocking thread and waits there.
    pub async fn look_up<T: Send + 'static>(
        &self,
        query: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        if let Some(lease) = Readers::lease_now(&self.readers)
            && let Some(connection) = &lease.connection
        {
            match query(connection) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
                result => return result.map_err(failed),
            }
        }
        self.read(move |connection| query(connection).map_err(failed)).await
    }

    /// Runs a query on a blocking thread.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let lease = Readers::lease(&self.readers).await?;
        task::spawn_blocking(move || {
            let connection = lease.connection.as_ref();
            let connection = connection.ok_or_else(|| stopped("no reader"))?;
            connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
            let result = query(connection);
            connection.busy_timeout(Duration::ZERO).map_err(failed)?;
            result
        })
        .await
        .map_err(stopped)?
    }

    pub async fn write<T: Send + 'static>(
        &self,
        statement: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let writer = Arc::clone(&self.writer);
        task::spawn_blocking(move || {
            // A panic in a statement rolls its transaction back.
            statement(&writer.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .map_err(stopped)?
    }
}

impl Readers {
    async fn lease(readers: &Arc<Self>) -> Result<Lease, StoreError> {
        let permits = Arc::clone(&readers.permits);
        let permit = permits.acquire_owned().await.map_err(stopped)?;
        Ok(Self::take(readers, permit))
    }

    /// A reader that is idle now.
    fn lease_now(readers: &Arc<Self>) -> Option<Lease> {
        let permit = Arc::clone(&readers.permits).try_acquire_owned().ok()?;
        Some(Self::take(readers, permit))
    }

    fn take(readers: &Arc<Self>, permit: OwnedSemaphorePermit) -> Lease {
        Lease { connection: readers.idle().pop(), readers: Arc::clone(readers), _permit: permit }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.readers.idle().extend(self.connection.take());
    }
}

/// The file holds ciphertext only; still nobody else needs to read it.
fn restrict(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;

    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| {
            let detail = format!("{}: {error}", path.display());
            StoreError::new(StoreErrorKind::Unreachable, detail)
        })
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .and_then(|()| connection.pragma_update(None, "synchronous", "FULL"))
        .and_then(|()| connection.pragma_update(None, "foreign_keys", true))
        .and_then(|()| connection.pragma_update(None, "secure_delete", true))
        .map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(16);
    Ok(connection)
}
