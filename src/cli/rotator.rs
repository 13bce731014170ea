//! What the rotator's commands begin with: a configuration, the store, the KMS as the
//! rotator, and the keys of instances.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::failure::Failure;
use crate::{
    app,
    config::{Config, KmsConfig},
    enclave::Enclave,
    harden::harden,
    identity::Wrapping,
    kms::{Rewrapper, local},
    memory::{Budget, Level},
    policy,
    rotation::Records,
    store::ShareStore,
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
