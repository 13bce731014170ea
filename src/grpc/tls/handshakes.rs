//! Handshakes: of so many peers at once, each within its time. Who a peer is shows
//! only when its handshake is over, so that until then all share this room.

use std::{collections::VecDeque, future::Future, time::Duration};

use tokio::{
    task::{AbortHandle, JoinHandle},
    time::timeout,
};

/// How many there are at once.
const ROOM: usize = 64;

/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Those under way, the oldest first. Dropping it ends them.
pub(super) struct Handshakes(VecDeque<AbortHandle>);

impl Handshakes {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(VecDeque::with_capacity(ROOM))
    }

    /// Begins one, which yields nothing when its time is over. Where there is no room
    /// the oldest ends: it is the likeliest to be one that never will by itself, and
    /// peers that say nothing cannot keep others out. Says whether one did.
    pub(super) fn begin<T: Send + 'static>(
        &mut self,
        handshake: impl Future<Output = T> + Send + 'static,
    ) -> (JoinHandle<Option<T>>, bool) {
        self.0.retain(|handshake| !handshake.is_finished());
        let full = self.0.len() >= ROOM;
        if full && let Some(oldest) = self.0.pop_front() {
            oldest.abort();
        }
        let handshake = tokio::spawn(async { timeout(PATIENCE, handshake).await.ok() });
        self.0.push_back(handshake.abort_handle());
        (handshake, full)
    }
}

impl Drop for Handshakes {
    fn drop(&mut self) {
        for handshake in &self.0 {
            handshake.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn the_oldest_makes_room_and_none_stays_for_long() {
        let mut handshakes = Handshakes::new();
        let silent: Vec<_> = (0..ROOM).map(|_| handshakes.begin(pending::<()>())).collect();
        assert!(silent.iter().all(|(_, full)| !full));
        let (quick, full) = handshakes.begin(ready(1));
        assert!(full);
        assert_eq!(quick.await.unwrap(), Some(1), "it was not kept out");
        // That one is over and leaves its room to the next.
        assert!(!handshakes.begin(pending::<()>()).1);
        let mut silent = silent.into_iter();
        let (oldest, _) = silent.next().unwrap();
        assert!(oldest.await.unwrap_err().is_cancelled());
        let (next, _) = silent.next().unwrap();
        assert_eq!(next.await.unwrap(), None, "its time was over");
        let (last, _) = handshakes.begin(pending::<()>());
        drop(handshakes);
        assert!(last.await.unwrap_err().is_cancelled());
    }
}
