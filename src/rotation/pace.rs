//! No more records a second than were asked for.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// When the next may be.
pub(super) struct Pace {
    one: Duration,
    next: Instant,
}

impl Pace {
    /// So many a second.
    pub(super) fn new(rate: u32) -> Self {
        Self { one: Duration::from_secs(1) / rate.max(1), next: Instant::now() }
    }

    /// Waits until `count` more may be. What was not used up is lost, so that nothing is
    /// caught up with after a pause.
    pub(super) async fn take(&mut self, count: usize) {
        sleep_until(self.next).await;
        self.next = Instant::now() + self.one * u32::try_from(count).unwrap_or(u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_kept() {
        let begun = Instant::now();
        let mut pace = Pace::new(1000);
        for _ in 0..5 {
            pace.take(50).await;
        }
        // The first four of five are waited for.
        assert!(begun.elapsed() >= Duration::from_millis(200));
    }
}
