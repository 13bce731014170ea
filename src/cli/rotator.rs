//! What the rotator's commands begin with: a configuration, the store, the KMS as the
//! rotator, and the keys of instances.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::failure::Failure;
use crate::{
    app,
    audit::{Audit, Settings, Writing, record::Start},
    config::{Config, KmsConfig},
    enclave::{self, Enclave},
    harden::harden,
    identity::Wrapping,
    kms::{Rewrapper, local},
    memory::{Budget, Level},
    policy,
    rotation::Records,
    store::ShareStore,
    telemetry::Metrics,
};

/// A process that rotates.
pub struct Rotator {
    pub config: Config,
    enclave: Enclave,
}

impl Rotator {
    /// Reads the configuration. Called before the process has other threads.
    pub fn load(file: &Path) -> Result<Self, Failure> {
        harden()?;
        let config = Config::load(file)?;
        let (slots, sections, threads) = match &config.kms {
            KmsConfig::Local { .. } => (local::VERSIONS_MAX + 2, 1, 0),
            KmsConfig::VaultTransit(settings) if settings.rotator.is_some() => (0, 0, 1),
            KmsConfig::VaultTransit(_) => {
                return Err(Failure::configuration(format!(
                    "{}: [vault.rotator] is missing: the login that may rewrap and read the key \
                     (docs/rotation.md)",
                    file.display()
                )));
            }
        };
        // What the KMS's client is on. No share and no DEK is opened here, unless the KEK
        // itself is a file.
        let budget = Budget { slots, large_slots: 0, sections, threads };
        let enclave = Enclave::start(budget, Level::Mlock);
        let enclave = enclave.map_err(|error| Failure::new(error.to_string()))?;
        Ok(Self { config, enclave })
    }

    /// The KMS, as the rotator.
    pub fn kms(&self) -> Result<Rewrapper, Failure> {
        let Config { kms, environment, .. } = &self.config;
        Ok(app::rewrapper(kms, environment, self.enclave.pool())?)
    }

    /// The records that are its own.
    pub async fn records(&self, kms: &Rewrapper) -> Result<Records, Failure> {
        let store: Arc<dyn ShareStore> = app::store(&self.config.store).await?;
        let environment = self.config.environment.clone();
        Ok(Records::new(store, policy::Rotator { environment, kek: kms.kek().clone() }))
    }

    /// The rotator's own log, which no other process may have.
    pub fn audit(&self, directory: &Path) -> Result<(Audit, Writing), Failure> {
        let config = &self.config;
        let same = |a: &Path, b: &Path| match (fs::canonicalize(a), fs::canonicalize(b)) {
            (Ok(a), Ok(b)) => a == b,
            _ => a == b,
        };
        if same(directory, &config.audit.directory) {
            return Err(Failure::new(format!(
                "{}: this is the log of the instance that the configuration is of; the rotator has one \
                 of its own",
                directory.display()
            )));
        }
        let settings = Settings {
            directory: directory.to_owned(),
            // Nobody counts it, and nothing is removed that is not counted.
            keep: None,
            webhook: None,
            ..config.audit.clone()
        };
        let start = Start {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            environment: config.environment.to_string(),
            configuration: Some(config.fingerprint.into()),
            protection: enclave::level().0.as_str().to_owned(),
        };
        Audit::open(&settings, start, Metrics::new())
            .map_err(|error| Failure::new(format!("--audit: {error}")))
    }

    /// The keys of the instances whose audit logs are in these directories, and in the
    /// configured one, that this KEK wraps.
    pub fn instances(
        &self,
        directories: &[PathBuf],
        kms: &Rewrapper,
    ) -> Result<Vec<(PathBuf, Wrapping)>, Failure> {
        let mut found = Vec::new();
        let own = &self.config.audit.directory;
        for directory in directories.iter().chain([own].into_iter().filter(|own| own.exists())) {
            if found.iter().any(|(known, _)| known == directory) {
                continue;
            }
            let wrapping = Wrapping::beside(directory);
            let wrapping = wrapping.map_err(|error| Failure::new(error.to_string()))?;
            match wrapping {
                Some(wrapping) if wrapping.kek() == kms.kek() => {
                    found.push((directory.clone(), wrapping));
                }
                // Of another KEK, or one whose instance has a new key at each start.
                Some(_) | None => {}
            }
        }
        Ok(found)
    }
}
