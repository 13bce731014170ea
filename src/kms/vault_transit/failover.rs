//! One pass over the addresses.

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Url;

use super::{
    KmsErrorKind,
    answer::{Failure, Repeat},
};

/// The addresses of Vault's nodes, and which of them answered last.
pub(super) struct Addresses {
    urls: Vec<Url>,
    preferred: AtomicUsize,
}

/// A pass: each address once, from the one that answered last, until one
/// answers. No connection and a redirect are no answers, nor is what a node says
/// that does not serve.
pub(super) struct Pass<'a> {
    addresses: &'a Addresses,
    first: usize,
    tried: usize,
    failed: Option<Failure>,
}

impl Addresses {
    pub(super) fn new(urls: Vec<Url>) -> Self {
        Self { urls, preferred: AtomicUsize::new(0) }
    }

    pub(super) fn count(&self) -> usize {
        self.urls.len()
    }

    pub(super) fn pass(&self) -> Pass<'_> {
        Pass {
            addresses: self,
            first: self.preferred.load(Ordering::Relaxed),
            tried: 0,
            failed: None,
        }
    }
}

impl<'a> Pass<'a> {
    /// The next address to try, none after the last.
    pub(super) fn next(&mut self) -> Option<&'a Url> {
        let count = self.addresses.count();
        if self.tried >= count {
            return None;
        }
        let place = (self.first + self.tried) % count;
        self.tried += 1;
        self.addresses.urls.get(place)
    }

    /// Takes note of what the last address did: `Some` ends the pass.
    pub(super) fn settle<T>(&mut self, result: Result<T, Failure>) -> Option<Result<T, Failure>> {
        let place = self.first + self.tried.saturating_sub(1);
        let failure = match result {
            Ok(answer) => {
                self.prefer(place);
                return Some(Ok(answer));
            }
            Err(failure) => failure,
        };
        let unanswered = failure.repeat == Repeat::Elsewhere
            || matches!(
                failure.error.kind,
                KmsErrorKind::Unreachable
                    | KmsErrorKind::Timeout
                    | KmsErrorKind::Tls
                    | KmsErrorKind::Redirected
            );
        if !unanswered {
            self.prefer(place);
            return Some(Err(failure));
        }
        let earlier = self.failed.as_ref().map(telling);
        if earlier.is_none_or(|earlier| earlier < telling(&failure)) {
            self.failed = Some(failure);
        }
        None
    }

    /// The pass is over, or its time is: what to report.
    pub(super) fn exhausted(self, operation: &str) -> Failure {
        self.failed.unwrap_or_else(|| Failure::too_late(operation))
    }

    /// Lets later passes begin here, unless another pass has moved them since
    /// this one began: what that one saw is newer.
    fn prefer(&self, place: usize) {
        let (preferred, order) = (&self.addresses.preferred, Ordering::Relaxed);
        let place = place % self.addresses.count();
        let _ = preferred.compare_exchange(self.first, place, order, order);
    }
}

/// How much a failure says: what a node of Vault says of itself is more than
/// whatever else happened, and that is more than "no connection".
fn telling(failure: &Failure) -> u8 {
    match (failure.repeat, failure.error.kind) {
        (Repeat::Elsewhere, _) => 2,
        (_, KmsErrorKind::Unreachable) => 0,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        let url = |host| Url::parse(&format!("https://{host}")).unwrap();
        Addresses::new(["a", "b", "c"].into_iter().map(url).collect())
    }

    fn failure(kind: KmsErrorKind, repeat: Repeat) -> Result<(), Failure> {
        Err(Failure::new(kind, repeat, ""))
    }

    /// One pass, `results` in turn; which hosts it tried.
    fn pass(addresses: &Addresses, results: Vec<Result<(), Failure>>) -> String {
        let mut pass = addresses.pass();
        let mut tried = String::new();
        for result in results {
            let Some(url) = pass.next() else { break };
            tried.push_str(url.host_str().unwrap());
            if pass.settle(result).is_some() {
                break;
            }
        }
        tried
    }

    #[test]
    fn the_address_that_answered_comes_first() {
        let addresses = addresses();
        let refused = || failure(KmsErrorKind::Unreachable, Repeat::Twice);
        assert_eq!(pass(&addresses, vec![refused(), Ok(())]), "ab");
        assert_eq!(pass(&addresses, vec![Ok(())]), "b");
        assert_eq!(pass(&addresses, vec![refused(), refused(), refused()]), "bca");
    }

    #[test]
    fn a_sealed_node_gives_way_and_is_left() {
        let addresses = addresses();
        let sealed = || failure(KmsErrorKind::Sealed, Repeat::Elsewhere);
        assert_eq!(pass(&addresses, vec![sealed(), Ok(())]), "ab");
        assert_eq!(pass(&addresses, vec![Ok(())]), "b");
        assert_eq!(pass(&addresses, vec![sealed(), sealed(), sealed()]), "bca");
        assert_eq!(pass(&addresses, vec![Ok(())]), "b", "nobody serves");
    }

    #[test]
    fn a_slow_pass_does_not_undo_a_later_one() {
        let addresses = addresses();
        let refused = || failure(KmsErrorKind::Unreachable, Repeat::Twice);
        let mut slow = addresses.pass();
        slow.next().unwrap();
        assert_eq!(pass(&addresses, vec![refused(), refused(), Ok(())]), "abc");
        slow.settle(Ok(())).unwrap().ok().unwrap();
        assert_eq!(pass(&addresses, vec![Ok(())]), "c");
    }

    #[test]
    fn the_telling_failure_is_reported() {
        let addresses = addresses();
        let mut pass = addresses.pass();
        for kind in [KmsErrorKind::Unreachable, KmsErrorKind::Tls, KmsErrorKind::Unreachable] {
            pass.next().unwrap();
            assert!(pass.settle(failure(kind, Repeat::Never)).is_none());
        }
        assert!(pass.next().is_none());
        assert_eq!(pass.exhausted("").error.kind, KmsErrorKind::Tls);

        let mut pass = addresses.pass();
        for (kind, repeat) in [
            (KmsErrorKind::Tls, Repeat::Never),
            (KmsErrorKind::Sealed, Repeat::Elsewhere),
            (KmsErrorKind::Unavailable, Repeat::Elsewhere),
        ] {
            pass.next().unwrap();
            assert!(pass.settle(failure(kind, repeat)).is_none());
        }
        assert_eq!(pass.exhausted("").error.kind, KmsErrorKind::Sealed);
    }
}
