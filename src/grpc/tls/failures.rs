//! Handshakes that failed, as the log tells of them.

use std::{
    io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::grpc::Service;

/// Whoever can connect can fail, as often as it likes. A line is written so often, and
/// says how many there were since the last one.
const PERIOD: Duration = Duration::from_secs(1);

/// When the last line was written, and how many were not since.
pub(super) struct Failures(Mutex<(Option<Instant>, u64)>);

impl Failures {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(Mutex::new((None, 0)))
    }

    /// Tells of one.
    pub(super) fn tell(&self, listener: Service, address: SocketAddr, error: &io::Error) {
        match error.kind() {
            // A probe of the port goes away like this all day, and a room that is full
            // is counted.
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted => {
                tracing::debug!(%listener, %address, %error, "TLS handshake failed");
            }
            _ => {
                if let Some(untold) = self.untold(Instant::now()) {
                    tracing::warn!(%listener, %address, %error, untold, "TLS handshake failed");
                }
            }
        }
    }

    /// How many were not told of since the last that was, if one may be now.
    fn untold(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, untold) = &mut *state;
        if last.is_some_and(|last| now.duration_since(last) < PERIOD) {
            *untold += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_second_says_how_many_it_stands_for() {
        let failures = Failures::new();
        let start = Instant::now();
        let at = |millis| failures.untold(start + Duration::from_millis(millis));
        assert_eq!([at(0), at(1), at(999), at(1000)], [Some(0), None, None, Some(2)]);
        assert_eq!([at(1500), at(9000), at(20_000)], [None, Some(1), Some(0)]);
    }
}
