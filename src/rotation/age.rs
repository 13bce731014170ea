//! The age of the KEK's newest version, looked at every day by a process that serves.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, sleep};

use crate::{
    kms::{KekVersion, KekVersions, Kms, KmsError, KmsErrorKind},
    shutdown::Draining,
    telemetry::Metrics,
};

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// How soon again, where the KMS did not answer.
const AGAIN: Duration = Duration::from_secs(10 * 60);
/// How long the KMS may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of the newest version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KekAge {
    /// How old it is.
    Known {
        /// The version.
        version: KekVersion,
        /// Its age.
        age: Duration,
        /// Whether it should have been replaced.
        overdue: bool,
    },
    /// Its age cannot be had: the KMS does not keep it, or the login may not read it.
    Unknown,
}

impl KekAge {
    /// Asks the KMS.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn ask(kms: &dyn Kms, now: SystemTime) -> Result<Self, KmsError> {
        let versions = match kms.versions(Instant::now() + PATIENCE).await {
            Ok(versions) => versions,
            Err(error) if matches!(error.kind, KmsErrorKind::Denied | KmsErrorKind::NoLogin) => {
                return Ok(Self::Unknown);
            }
            Err(error) => return Err(error),
        };
        Ok(Self::of(&versions, now))
    }

    /// What these versions say.
    fn of(versions: &KekVersions, now: SystemTime) -> Self {
        let known = versions.newest().and_then(|version| {
            let (age, overdue) = version.age(now).zip(version.is_overdue(now))?;
            Some(Self::Known { version, age, overdue })
        });
        known.unwrap_or(Self::Unknown)
    }
}

/// Looks at the age every day, and tells metrics and log of it, until the process drains.
pub async fn follow(kms: Arc<dyn Kms>, metrics: Metrics, draining: Draining) {
    let looking = async {
        loop {
            let pause = match KekAge::ask(&*kms, SystemTime::now()).await {
                Ok(age) => {
                    tell(&age, &metrics);
                    EVERY
                }
                Err(error) => {
                    tracing::info!(%error, "The age of the KEK is not known yet");
                    AGAIN
                }
            };
            sleep(pause).await;
        }
    };
    tokio::select! {
        () = draining.started() => {}
        () = looking => {}
    }
}

fn tell(age: &KekAge, metrics: &Metrics) {
    let KekAge::Known { version, age, overdue } = age else {
        return tracing::info!(
            "The age of the KEK's newest version is unknown: the login may not read the key"
        );
    };
    metrics.set_kek(version.number, version.created, *overdue);
    let (version, days) = (version.number, age.as_secs() / (24 * 3600));
    if *overdue {
        tracing::warn!(
            version,
            days,
            "The KEK's newest version is older than 90 days: rotate it, and rewrap the records"
        );
    } else {
        tracing::info!(version, days, "The KEK's newest version");
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Mutex, PoisonError},
        time::UNIX_EPOCH,
    };

    use super::*;

    /// What log and metrics say of a version that is so many days old.
    fn told(days: u32) -> (String, String) {
        struct Sink(Arc<Mutex<Vec<u8>>>);
        impl Write for Sink {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let now = UNIX_EPOCH + Duration::from_secs(24 * 3600) * 20_000;
        let created = Some(now - Duration::from_secs(24 * 3600) * days);
        let versions = vec![KekVersion { number: 7, created }];
        let age = KekAge::of(&KekVersions { floor: 1, kept: 1, versions }, now);
        let (text, metrics) = (Arc::<Mutex<Vec<u8>>>::default(), Metrics::new());
        let writer = Arc::clone(&text);
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || Sink(Arc::clone(&writer)))
            .finish();
        tracing::subscriber::with_default(subscriber, || tell(&age, &metrics));
        let text = text.lock().unwrap_or_else(PoisonError::into_inner);
        (String::from_utf8_lossy(&text).into_owned(), metrics.encode().unwrap())
    }

    #[test]
    fn past_90_days_log_and_metric_warn() {
        let (log, metrics) = told(90);
        assert!(!log.contains("WARN"), "{log}");
        assert!(metrics.contains("countersign_kek_overdue 0"));
        assert!(metrics.contains("countersign_kek_version 7"));
        let (log, metrics) = told(91);
        assert!(log.contains("WARN") && log.contains("older than 90 days"), "no warning: {log}");
        assert!(metrics.contains("countersign_kek_overdue 1"));
    }

    #[test]
    fn what_has_no_date_is_unknown() {
        let versions = vec![KekVersion { number: 7, created: None }];
        let age = KekAge::of(&KekVersions { floor: 1, kept: 1, versions }, SystemTime::now());
        assert_eq!(age, KekAge::Unknown);
    }
}
