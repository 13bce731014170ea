//! The other end of a connection.

use std::{fmt, sync::Arc};

use super::{Caller, OVERFLOW_UID, SpiffeId};

/// Who is at the other end of a connection, as its transport vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The user id at the time of `connect` on a Unix socket (SO_PEERCRED). The
    /// process id is not used: it can be reused by the time that it is looked up.
    User(u32),
    /// The workload that a verified client certificate names.
    Workload(SpiffeId),
    /// The transport names nobody, for this reason.
    Nobody(&'static str),
}

/// Whom limits count for: a caller, by whichever of its identities it comes, or a
/// peer that is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// A caller.
    Caller(Arc<Caller>),
    /// A user that is no caller.
    User(u32),
    /// A workload that is no caller.
    Workload(SpiffeId),
    /// All others, together.
    Nobody,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "uid {uid}"),
            Self::Workload(spiffe_id) => write!(f, "{spiffe_id}"),
            Self::Nobody(why) => write!(f, "nobody ({why})"),
        }
    }
}

impl Party {
    pub(super) fn stranger(peer: &Peer) -> Self {
        match peer {
            Peer::User(OVERFLOW_UID) | Peer::Nobody(_) => Self::Nobody,
            Peer::User(uid) => Self::User(*uid),
            Peer::Workload(spiffe_id) => Self::Workload(spiffe_id.clone()),
        }
    }
}
