//! Who calls: identities that the kernel vouches for, named by configuration.
#![forbid(unsafe_code)]

use std::{collections::HashMap, sync::Arc};

use tokio::time::Instant;

use crate::key::RequestId;

/// The overflow uid: what a user namespace shows for a user that it does not
/// map. It names nobody in particular and is therefore never a caller.
pub const OVERFLOW_UID: u32 = 65534;

/// A known caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name in policies (`Caller::"name"`), logs and metrics.
    pub name: Box<str>,
    /// The peer's user id on the Unix socket.
    pub uid: u32,
    /// The groups in policies (`Group::"name"`).
    pub groups: Box<[Box<str>]>,
}

/// The callers that the configuration names, by uid.
#[derive(Clone, Debug, Default)]
pub struct Callers(HashMap<u32, Arc<Caller>>);

/// One call: who makes it, how it is named in logs, and how long it may take.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who calls.
    pub caller: Arc<Caller>,
    /// The call's name.
    pub request_id: RequestId,
    /// When its answer is no longer wanted.
    pub deadline: Instant,
}

impl Callers {
    /// The caller behind a peer's uid, if it is known.
    pub fn by_uid(&self, uid: u32) -> Option<Arc<Caller>> {
        if uid == OVERFLOW_UID {
            return None;
        }
        self.0.get(&uid).cloned()
    }

    /// All callers, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Caller> {
        self.0.values().map(AsRef::as_ref)
    }
}

impl FromIterator<Caller> for Callers {
    fn from_iter<I: IntoIterator<Item = Caller>>(callers: I) -> Self {
        Self(callers.into_iter().map(|caller| (caller.uid, Arc::new(caller))).collect())
    }
}
