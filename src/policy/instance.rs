//! Permits for the one key that no caller may use: that of the instance itself, with which
//! it signs the heads of its audit log. Its wallet says so. What policies say of that
//! wallet does not matter: it is permitted here to the process, and to nobody else.

use std::sync::{Arc, LazyLock};

use super::{
    Action, GenerateShare, NewShare, Permit, ShareSubject, Sign, UseShare, subject::Subject,
};
use crate::{caller::Caller, key::WalletId};

/// The wallet of the instance's key. No request for it is permitted.
pub const INSTANCE_WALLET: &str = "countersign:instance";

/// The wallet, as a record has it.
pub fn instance_wallet() -> WalletId {
    INSTANCE_WALLET.parse().expect("the name of the wallet is one")
}

/// Whether a subject is the instance's own.
pub(super) fn is_own(subject: &impl Subject) -> bool {
    subject.wallet().is_some_and(|wallet| wallet.as_str() == INSTANCE_WALLET)
}

/// What the process may do with its own key.
impl Permit<GenerateShare> {
    /// Make it; none for another share.
    pub fn for_instance(subject: NewShare) -> Option<Self> {
        let algorithm = subject.algorithm;
        own(subject, GenerateShare { algorithm })
    }
}

impl Permit<UseShare> {
    /// Hold it open; none for another share.
    pub fn for_instance(subject: ShareSubject) -> Option<Self> {
        own(subject, UseShare)
    }

    /// Sign with it, while it is open; none for another share.
    pub fn instance_signs(&self, action: Sign) -> Option<Permit<Sign>> {
        own(Arc::clone(self.subject()), action)
    }
}

fn own<A: Action>(subject: A::Subject, action: A) -> Option<Permit<A>> {
    static PROCESS: LazyLock<Arc<Caller>> = LazyLock::new(|| {
        let (uid, spiffe_id, groups, rate) = (None, None, Box::default(), None);
        Arc::new(Caller { name: INSTANCE_WALLET.into(), uid, spiffe_id, groups, rate })
    });
    let caller = Arc::clone(&PROCESS);
    is_own(&subject).then(|| Permit::new(caller, subject, action, Arc::new([])))
}
