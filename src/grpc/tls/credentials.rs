//! The material that holds now, and how it follows its files.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rustls::{ServerConfig, pki_types::CertificateDer};
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{interval, sleep},
};

use super::{
    certificate::Certificate,
    files::{Contents, Files, Fingerprint},
    material::Material,
};
use crate::{grpc::Service, shutdown::Draining, telemetry::Metrics};

/// How often the files are looked at. Kubernetes swaps a link above them, so that
/// watching the files themselves would not show a change.
const PERIOD: Duration = Duration::from_secs(2);

/// How often a connection's client is verified again, at least: what is above its
/// certificate may expire before it does, and a clock may be set.
pub(super) const VERIFY: Duration = Duration::from_secs(60);

/// The material that holds now. Certificate, key and authorities are replaced in
/// one step: no connection ever sees two of them from different sets.
pub struct Credentials {
    files: Files,
    metrics: Metrics,
    current: watch::Sender<Arc<Material>>,
    seen: Mutex<Seen>,
}

/// What is known of the files, and was said about them.
struct Seen {
    /// What was in them when they were last looked at.
    last: Fingerprint,
    /// The contents that were last refused.
    refused: Option<Fingerprint>,
    /// How far the current certificate's life was when that was last said.
    age: Age,
}

/// The life of a certificate, in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    Fresh,
    /// A fifth of it is left: whoever renews it should have done so.
    Ending,
    Expired,
}

impl Credentials {
    /// Begins with what was loaded from the files.
    pub fn new(files: Files, material: Material, metrics: Metrics) -> Self {
        let seen = Seen { last: material.fingerprint, refused: None, age: Age::Fresh };
        metrics.set_tls_certificate(files.service, material.not_after);
        let (current, _) = watch::channel(Arc::new(material));
        Self { files, metrics, current, seen: Mutex::new(seen) }
    }

    /// Whose listener it is.
    pub fn service(&self) -> Service {
        self.files.service
    }

    /// What handshakes are made with now.
    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.borrow().server)
    }

    /// Follows the files until draining starts.
    pub async fn follow(self: Arc<Self>, draining: Draining) {
        let mut stop = pin!(draining.started());
        let mut ticks = interval(PERIOD);
        loop {
            tokio::select! {
                () = &mut stop => return,
                _ = ticks.tick() => {}
            }
            let this = Arc::clone(&self);
            // It ends in one way alone, and a volume that hangs keeps no other work up.
            let _ = spawn_blocking(move || this.look(false)).await;
        }
    }

    /// Looks at the files now, instead of within seconds: for whoever has just
    /// replaced them and says so.
    pub fn reload(&self) {
        self.look(true);
    }

    /// Takes what is in the files if it is new, good, and complete: unless `complete`
    /// says so, contents that were seen twice, since they may be written one after
    /// another.
    fn look(&self, complete: bool) {
        let contents = Contents::read(&self.files);
        let fingerprint = contents.fingerprint();
        // Whatever panicked left a fingerprint or an age, each of them whole.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let complete = complete || seen.last == fingerprint;
        seen.last = fingerprint;
        if self.current.borrow().fingerprint == fingerprint {
            seen.refused = None;
            self.metrics.set_tls_reload_failed(self.service(), false);
        } else if complete {
            self.take(&contents, fingerprint, &mut seen);
        }
        self.tell_age(&mut seen);
    }

    fn take(&self, contents: &Contents, fingerprint: Fingerprint, seen: &mut Seen) {
        let listener = self.service();
        match Material::of(contents) {
            Ok(material) => {
                let not_after = humantime::format_rfc3339_seconds(material.not_after);
                tracing::info!(%listener, %not_after, "TLS files reloaded");
                self.metrics.set_tls_certificate(listener, material.not_after);
                self.metrics.set_tls_reload_failed(listener, false);
                self.current.send_replace(Arc::new(material));
                (seen.refused, seen.age) = (None, Age::Fresh);
            }
            Err(problems) => {
                self.metrics.set_tls_reload_failed(listener, true);
                // One that is not valid yet may be so the next time, without a change.
                if seen.refused != Some(fingerprint) {
                    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
                    let problems = lines.join("; ");
                    tracing::error!(%listener, problems, "TLS files not reloaded: the former ones stay");
                    seen.refused = Some(fingerprint);
                }
            }
        }
    }

    /// Says once that the current certificate is about to expire, and that it did.
    fn tell_age(&self, seen: &mut Seen) {
        let current = Arc::clone(&self.current.borrow());
        let age = Age::at(SystemTime::now(), current.not_before, current.not_after);
        let not_after = humantime::format_rfc3339_seconds(current.not_after);
        let listener = self.service();
        if age > seen.age {
            match age {
                Age::Fresh => {}
                Age::Ending => {
                    tracing::warn!(%listener, %not_after, "The TLS listener's certificate expires soon");
                }
                Age::Expired => {
                    tracing::error!(%listener, %not_after, "The TLS listener's certificate has expired");
                }
            }
            seen.age = age;
        }
    }

    /// Resolves when a client's chain is no longer trusted: the authorities changed,
    /// or one of its certificates expired. It is verified whenever they change, when
    /// its leaf expires, and after `period` at the latest.
    pub(super) async fn lapse(
        &self,
        chain: &[CertificateDer<'_>],
        period: Duration,
    ) -> rustls::Error {
        let mut current = self.current.subscribe();
        let leaf = chain.first().and_then(Certificate::parse);
        let not_after = leaf.map(|leaf| leaf.not_after());
        loop {
            let material = Arc::clone(&current.borrow_and_update());
            if let Err(error) = material.verify(chain) {
                return error;
            }
            let left = not_after.and_then(|end| end.duration_since(SystemTime::now()).ok());
            // Certificates count in whole seconds, and the last one is within.
            let until = left.map_or(period, |left| period.min(left + Duration::from_secs(1)));
            tokio::select! {
                // Its sender is in `self`.
                _ = current.changed() => {}
                () = sleep(until) => {}
            }
        }
    }
}

impl Age {
    fn at(now: SystemTime, not_before: SystemTime, not_after: SystemTime) -> Self {
        let whole = not_after.duration_since(not_before).unwrap_or_default();
        match not_after.duration_since(now) {
            Err(_) => Self::Expired,
            Ok(left) if left < whole / 5 => Self::Ending,
            Ok(_) => Self::Fresh,
        }
    }
}

#[cfg(test)]
mod tests;
