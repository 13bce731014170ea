//! Who calls: identities that the transport vouches for, named by configuration.
#![forbid(unsafe_code)]

mod peer;
mod spiffe_id;

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::time::Instant;

use crate::{key::RequestId, rate::Quota};

pub use peer::{Party, Peer};
pub use spiffe_id::SpiffeId;

/// The overflow uid: what a user namespace shows for a user that it does not
/// map. It names nobody in particular and is therefore never a caller.
pub const OVERFLOW_UID: u32 = 65534;

/// A known caller, with at least one of `uid` and `spiffe_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name in policies (`Caller::"name"`), logs and metrics.
    pub name: Box<str>,
    /// The peer's user id on the Unix socket.
    pub uid: Option<u32>,
    /// The SPIFFE ID in the peer's client certificate.
    pub spiffe_id: Option<SpiffeId>,
    /// The groups in policies (`Group::"name"`).
    pub groups: Box<[Box<str>]>,
    /// Its own rate of calls, where that is not the rate of all.
    pub rate: Option<Quota>,
}

/// The callers that the configuration names, by each of their identities.
#[derive(Clone, Debug, Default)]
pub struct Callers {
    all: Vec<Arc<Caller>>,
    by_uid: HashMap<u32, Arc<Caller>>,
    by_spiffe_id: HashMap<SpiffeId, Arc<Caller>>,
}

/// One call: who makes it, how it is named in logs, and how long it may take.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who calls.
    pub caller: Arc<Caller>,
    /// The call's name.
    pub request_id: RequestId,
    /// When it arrived.
    pub arrived: Instant,
    /// When its answer is no longer wanted.
    pub deadline: Instant,
    /// Whether the audit log has a record of its own for it.
    pub recorded: Flag,
}

/// What is set once, and seen by who shares it.
#[derive(Clone, Debug, Default)]
pub struct Flag(Arc<AtomicBool>);

impl Flag {
    /// Sets it.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was set.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// By its name, which no two callers share.
impl Hash for Caller {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Call {
    /// A call that no one has recorded yet.
    pub fn new(
        caller: Arc<Caller>,
        request_id: RequestId,
        arrived: Instant,
        deadline: Instant,
    ) -> Self {
        Self { caller, request_id, arrived, deadline, recorded: Flag::default() }
    }
}

impl Callers {
    /// The caller that a peer is, if it is one.
    pub fn find(&self, peer: &Peer) -> Option<Arc<Caller>> {
        match peer {
            Peer::User(uid) => self.by_uid(*uid),
            Peer::Workload(spiffe_id) => self.by_spiffe_id(spiffe_id),
            Peer::Nobody(_) => None,
        }
    }

    /// The caller behind a peer's uid, if it is known.
    pub fn by_uid(&self, uid: u32) -> Option<Arc<Caller>> {
        if uid == OVERFLOW_UID {
            return None;
        }
        self.by_uid.get(&uid).cloned()
    }

    /// The caller behind the SPIFFE ID of a peer's certificate, if it is known.
    pub fn by_spiffe_id(&self, spiffe_id: &SpiffeId) -> Option<Arc<Caller>> {
        self.by_spiffe_id.get(spiffe_id).cloned()
    }

    /// Whom limits count a peer as.
    pub fn party(&self, peer: &Peer) -> Party {
        match self.find(peer) {
            Some(caller) => Party::Caller(caller),
            None => Party::stranger(peer),
        }
    }

    /// All callers, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Caller> {
        self.all.iter().map(AsRef::as_ref)
    }
}

impl FromIterator<Caller> for Callers {
    fn from_iter<I: IntoIterator<Item = Caller>>(callers: I) -> Self {
        let mut found = Self::default();
        for caller in callers.into_iter().map(Arc::new) {
            if let Some(uid) = caller.uid {
                found.by_uid.insert(uid, Arc::clone(&caller));
            }
            if let Some(spiffe_id) = &caller.spiffe_id {
                found.by_spiffe_id.insert(spiffe_id.clone(), Arc::clone(&caller));
            }
            found.all.push(caller);
        }
        found
    }
}

#[cfg(test)]
mod tests;
