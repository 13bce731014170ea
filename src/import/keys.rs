//! The keys for imports that are live: few, for minutes, each for one import.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::KEY_LEN;
use crate::enclave::ImportKey;

/// How long a key lives.
pub const LIFETIME: Duration = Duration::from_secs(10 * 60);
/// How many may live at once: each has a slot of secret memory.
pub const LIVE_MAX: usize = 4;

/// The live keys. They die with the process. Cheap to clone.
#[derive(Clone)]
pub struct ImportKeys {
    live: Arc<Mutex<Vec<Live>>>,
    lifetime: Duration,
}

struct Live {
    key: ImportKey,
    until: Instant,
}

impl Default for ImportKeys {
    fn default() -> Self {
        Self::living(LIFETIME)
    }
}

impl ImportKeys {
    /// Keys that live for so long.
    pub(super) fn living(lifetime: Duration) -> Self {
        Self { live: Arc::default(), lifetime }
    }

    /// Keeps a key for its lifetime, or until it is taken; not if there is no room.
    pub fn keep(&self, key: ImportKey) -> bool {
        let until = Instant::now() + self.lifetime;
        let mut live = current(&self.live);
        let room = live.len() < LIVE_MAX;
        if room {
            live.push(Live { key, until });
            let keys = Arc::downgrade(&self.live);
            tokio::spawn(async move {
                sleep_until(until).await;
                keys.upgrade().map(|keys| current(&keys).len())
            });
        }
        room
    }

    /// Takes the key with this public half, for its one import; none where it was taken
    /// before, is too old, or never was here.
    pub fn take(&self, public: &[u8; KEY_LEN]) -> Option<ImportKey> {
        let mut live = current(&self.live);
        let place = live.iter().position(|live| live.key.public() == public)?;
        Some(live.swap_remove(place).key)
    }
}

/// Those that are not too old; the others are wiped.
fn current(keys: &Mutex<Vec<Live>>) -> MutexGuard<'_, Vec<Live>> {
    let mut live = keys.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    live.retain(|live| live.until > now);
    live
}
