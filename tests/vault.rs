//! Vault Transit: rights, logins, faults, the network, the client's thread, sessions
//! and what must not leak.

mod connections;
mod excess;
mod faults;
mod logins;
mod network;
mod rights;
mod secrecy;
mod sessions;

use std::{path::Path, time::Duration};

use countersign::{
    envelope::{KekRef, WrappedDek},
    key::Environment,
    kms::{
        Kms, KmsError, Unwrapped,
        vault_transit::{Login, PROVIDER, Settings, Timeouts, VaultTransit},
    },
};
use tokio::time::{Instant, sleep};

use crate::support::{
    custody::{Custody, Sealed, rewrap},
    vault::{Tenant, VaultServer},
};

/// Takes the shared server, or ends the test where there is no Vault.
macro_rules! shared_vault {
    () => {
        match crate::support::vault::VaultServer::shared().await {
            Some(vault) => vault,
            None => return,
        }
    };
}
use shared_vault;

/// One record and its wrapped DEK.
struct Record {
    custody: Custody,
    sealed: Sealed,
    wrapped: WrappedDek,
}

impl Record {
    /// A record whose DEK the backend wraps now.
    async fn wrap(environment: &Environment, kms: &VaultTransit) -> Self {
        let custody = Custody::new(environment);
        let sealed = custody.seal(kms.kek());
        let wrapped = sealed.wrap(kms, soon()).await.unwrap();
        Self { custody, sealed, wrapped }
    }

    /// A record for servers that look at nothing.
    fn canned() -> Self {
        Self::canned_with_slots(16)
    }

    /// The same, with room for so many calls at a time.
    fn canned_with_slots(slots: usize) -> Self {
        let custody = Custody::with_slots(&"test".parse().unwrap(), slots);
        let kek = KekRef::new(PROVIDER, "transit", "countersign-test").unwrap();
        Self {
            sealed: custody.seal(&kek),
            custody,
            wrapped: WrappedDek::new(&b"vault:v1:AAAA"[..]).unwrap(),
        }
    }

    async fn unwrap_by(&self, kms: &VaultTransit, by: Instant) -> Result<Unwrapped, KmsError> {
        let free = self.custody.free();
        let result = self.custody.unwrap(kms, &self.sealed, &self.wrapped, by);
        let result = result.await;
        let taken = usize::from(result.is_ok());
        assert_eq!(self.custody.free(), free - taken);
        result
    }

    async fn rewrap(&self, kms: &VaultTransit) -> Result<WrappedDek, KmsError> {
        rewrap(kms, self.sealed.context(), &self.wrapped, soon()).await
    }

    /// Unwraps, and has to get the record's DEK.
    async fn unwrap(&self, kms: &VaultTransit) -> Unwrapped {
        let unwrapped = self.unwrap_by(kms, soon()).await.unwrap();
        assert!(self.sealed.is_dek(&unwrapped));
        unwrapped
    }

    /// Unwraps, and has to fail.
    async fn fail(&self, kms: &VaultTransit) -> KmsError {
        let result = self.unwrap_by(kms, soon()).await;
        result.err().expect("this should have failed")
    }

    /// Unwraps again and again until it works.
    async fn recover(&self, kms: &VaultTransit) {
        let give_up = Instant::now() + Duration::from_secs(15);
        while let Err(error) = self.unwrap_by(kms, soon()).await {
            assert!(Instant::now() < give_up, "no recovery: {error}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The settings for a server that the test plays itself, with a token in a file
/// of `directory` for every role.
fn scripted(directory: &Path, addresses: &[String]) -> Settings {
    let path = directory.join("token");
    std::fs::write(&path, "hvs.scripted\n").unwrap();
    let login = Some(Login::TokenFile { path });
    Settings {
        addresses: addresses.to_vec(),
        ca_file: directory.join("ca.pem"),
        namespace: None,
        mount: "transit".to_owned(),
        key: "countersign-test".to_owned(),
        signer: login.clone(),
        custodian: login.clone(),
        rotator: login,
        timeouts: Timeouts::default(),
    }
}

/// Waits until every login stands.
async fn ready(kms: &VaultTransit) {
    let give_up = Instant::now() + Duration::from_secs(10);
    while let Err(error) = kms.status(soon()).await {
        assert!(Instant::now() < give_up, "{error}");
        sleep(Duration::from_millis(10)).await;
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}
