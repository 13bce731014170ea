//! One KV engine: its paths, its answers, and what they mean to a store.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::secret::{Found, Options, Secret, Write};
use crate::{
    key::{Environment, PublicKey, Revision, ShareId},
    kms::{
        KmsError, KmsErrorKind,
        vault_transit::kv::{Kv, Said},
    },
    store::{StoreError, StoreErrorKind, document::Document},
};

/// An engine, and the place in it.
pub(super) struct Engine {
    kv: Kv,
    mount: String,
    place: String,
    /// Whether it is known to be of version 2, and to keep what it is given.
    keeps: OnceCell<()>,
}

impl Engine {
    pub fn new(kv: Kv, mount: String, place: String) -> Self {
        Self { kv, mount, place, keeps: OnceCell::new() }
    }

    /// A share's secret; none where there is none, or it was deleted.
    pub async fn read(
        &self,
        share: ShareId,
        environment: &Environment,
        known: Option<PublicKey>,
    ) -> Result<Option<Found>, StoreError> {
        match self.kv.read(&self.path("data", share)).await.map_err(failed)? {
            Said::Done(body) => Found::read(&body, share, environment, known).map(Some),
            Said::Nothing => Ok(None),
            said => Err(self.unexpected(&said)),
        }
    }

    /// Every share that has a secret, in order.
    pub async fn shares(&self) -> Result<Vec<ShareId>, StoreError> {
        #[derive(Deserialize)]
        struct Answer {
            data: Keys,
        }
        #[derive(Deserialize)]
        struct Keys {
            keys: Vec<String>,
        }
        let path = format!("{}/metadata/{}", self.mount, self.place);
        let body = match self.kv.list(&path).await.map_err(failed)? {
            Said::Done(body) => body,
            Said::Nothing => return Ok(Vec::new()),
            said => return Err(self.unexpected(&said)),
        };
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| not_as_documented())?;
        let keys = answer.data.keys.iter();
        let mut shares: Vec<ShareId> = keys.filter_map(|key| key.parse().ok()).collect();
        shares.sort_unstable();
        Ok(shares)
    }

    /// Writes the version after `cas`. False, with nothing written, where the secret is not
    /// at `cas`.
    pub async fn write(
        &self,
        share: ShareId,
        record: Document<'_>,
        cas: Revision,
    ) -> Result<bool, StoreError> {
        self.keeps.get_or_try_init(|| self.require_keeping()).await?;
        let write = Uuid::new_v4().to_string();
        let secret = Write {
            options: Options { cas: cas.get() },
            data: Secret { record, write: write.as_str().into() },
        };
        let body = serde_json::to_vec(&secret);
        let body =
            body.map_err(|error| StoreError::new(StoreErrorKind::Failed, error.to_string()))?;
        match self.kv.write(&self.path("data", share), body).await.map_err(failed)? {
            Said::Done(_) => Ok(true),
            // It may be our own, whose answer was lost before the retry.
            Said::CasMismatch => self.is_current(share, &write, cas.next()).await,
            said => Err(self.unexpected(&said)),
        }
    }

    /// Destroys a secret with every version of it.
    pub async fn destroy(&self, share: ShareId) -> Result<(), StoreError> {
        match self.kv.delete(&self.path("metadata", share)).await.map_err(failed)? {
            Said::Done(_) | Said::Nothing => Ok(()),
            said => Err(self.unexpected(&said)),
        }
    }

    /// Destroys the versions before one that are not destroyed yet. A deleted one is there
    /// until it is destroyed.
    pub async fn destroy_former(
        &self,
        share: ShareId,
        current: Revision,
    ) -> Result<(), StoreError> {
        #[derive(Deserialize)]
        struct Answer {
            data: History,
        }
        #[derive(Deserialize)]
        struct History {
            current_version: u64,
            versions: HashMap<u64, Version>,
        }
        #[derive(Deserialize)]
        struct Version {
            destroyed: bool,
        }
        #[derive(Serialize)]
        struct Destroy {
            versions: Vec<u64>,
        }
        let metadata =
            self.kv.read(&self.path("metadata", share)).await.map_err(may_not_destroy)?;
        let body = match metadata {
            Said::Done(body) => body,
            Said::Nothing => return Ok(()),
            said => return Err(self.unexpected(&said)),
        };
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| not_as_documented())?;
        let History { current_version, versions } = answer.data;
        // Never the current one, also of a share that was removed and made again since.
        let before = current.get().min(current_version);
        let former = versions.into_iter();
        let former = former.filter(|(number, version)| *number < before && !version.destroyed);
        let versions: Vec<_> = former.map(|(number, _)| number).collect();
        if versions.is_empty() {
            return Ok(());
        }
        let body = serde_json::to_vec(&Destroy { versions });
        let body =
            body.map_err(|error| StoreError::new(StoreErrorKind::Failed, error.to_string()))?;
        let path = self.path("destroy", share);
        match self.kv.write(&path, body).await.map_err(may_not_destroy)? {
            Said::Done(_) | Said::Nothing => Ok(()),
            said => Err(self.unexpected(&said)),
        }
    }

    pub async fn status(&self) -> Result<(), StoreError> {
        self.kv.status().await.map_err(failed)?;
        self.require_keeping().await
    }

    pub async fn close(&self) {
        self.kv.close().await;
    }

    /// Whether a write is the current version.
    async fn is_current(
        &self,
        share: ShareId,
        write: &str,
        version: Revision,
    ) -> Result<bool, StoreError> {
        #[derive(Deserialize)]
        struct Answer {
            data: Versioned,
        }
        #[derive(Deserialize)]
        struct Versioned {
            data: Written,
            metadata: Metadata,
        }
        #[derive(Deserialize)]
        struct Written {
            write: String,
        }
        #[derive(Deserialize)]
        struct Metadata {
            version: u64,
        }
        let Said::Done(body) = self.kv.read(&self.path("data", share)).await.map_err(failed)?
        else {
            return Ok(false);
        };
        let found = serde_json::from_slice::<Answer>(&body).map(|answer| answer.data);
        Ok(found.is_ok_and(|found| {
            found.data.write == write && found.metadata.version == version.get()
        }))
    }

    /// An engine of version 1 would take a write and keep no history; one that deletes what
    /// is old would delete shares.
    async fn require_keeping(&self) -> Result<(), StoreError> {
        #[derive(Deserialize)]
        struct Answer {
            data: Configuration,
        }
        #[derive(Deserialize)]
        struct Configuration {
            delete_version_after: String,
        }
        let body = match self.kv.read(&format!("{}/config", self.mount)).await.map_err(failed)? {
            Said::Done(body) => body,
            Said::Nothing => return Err(self.unexpected(&Said::NoMount)),
            said => return Err(self.unexpected(&said)),
        };
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| not_as_documented())?;
        match &*answer.data.delete_version_after {
            "0s" | "" => Ok(()),
            _ => Err(StoreError::new(
                StoreErrorKind::Schema,
                format!(
                    "{}: delete_version_after would delete shares after a while: set it to 0s",
                    self.mount
                ),
            )),
        }
    }

    fn path(&self, kind: &str, share: ShareId) -> String {
        format!("{}/{kind}/{}/{share}", self.mount, self.place)
    }

    fn unexpected(&self, said: &Said) -> StoreError {
        match said {
            Said::NoMount => StoreError::new(
                StoreErrorKind::Schema,
                format!("{} is no KV engine of version 2 in Vault", self.mount),
            ),
            Said::Busy => StoreError::new(
                StoreErrorKind::Unreachable,
                format!("{} was just mounted, and does not serve yet", self.mount),
            ),
            _ => StoreError::new(StoreErrorKind::Failed, "Vault refuses the request"),
        }
    }
}

fn not_as_documented() -> StoreError {
    StoreError::new(StoreErrorKind::Failed, "Vault's answer is not as documented")
}

/// The policies of an earlier version do not have these rights.
fn may_not_destroy(error: KmsError) -> StoreError {
    let denied = error.kind == KmsErrorKind::Denied;
    let mut error = failed(error);
    if denied {
        error.detail.push_str(
            "; to destroy older versions of a record the login needs the policy that `countersign \
             vault policy` prints for the role store or store-rotator",
        );
    }
    error
}

/// What a failure to get an answer means.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: KmsError) -> StoreError {
    use KmsErrorKind as Vault;
    use StoreErrorKind as Kind;

    let kind = match error.kind {
        Vault::Unreachable | Vault::Sealed | Vault::Unavailable | Vault::RateLimited => {
            Kind::Unreachable
        }
        Vault::Timeout => Kind::Timeout,
        Vault::Tls => Kind::Tls,
        Vault::Denied | Vault::Login | Vault::NoLogin => Kind::Denied,
        _ => Kind::Failed,
    };
    // With Vault's own kind: sealed is not down.
    StoreError::new(kind, format!("Vault: {error}"))
}
