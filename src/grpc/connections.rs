//! How many connections there may be, over all sockets: in all, per caller, and
//! for peers that are none.

use super::admission::{Admission, Admitted, Room};
use crate::{
    caller::{Callers, Party, Peer},
    telemetry::Metrics,
};

/// What peers that are no caller may have together: health probes come from such.
/// Apart from the callers' room, so that nobody can keep a caller out.
const STRANGERS: Room = Room { total: 32, per_caller: 16 };

/// Counts the open connections. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Connections {
    callers: Callers,
    known: Admission,
    strangers: Admission,
    metrics: Metrics,
}

/// An open connection.
pub(super) struct Connection {
    admitted: Option<Admitted>,
    connections: Connections,
}

impl Connections {
    /// None yet.
    pub fn new(room: Room, callers: Callers, metrics: Metrics) -> Self {
        Self { callers, known: Admission::new(room), strangers: Admission::new(STRANGERS), metrics }
    }

    /// Takes room for a connection, or counts that there is none.
    pub(super) fn admit(&self, peer: &Peer) -> Option<Connection> {
        let party = self.callers.party(peer);
        let room = match party {
            Party::Caller(_) => &self.known,
            _ => &self.strangers,
        };
        let Ok(admitted) = room.admit(party) else {
            self.metrics.connection_refused();
            return None;
        };
        self.count();
        Some(Connection { admitted: Some(admitted), connections: self.clone() })
    }

    fn count(&self) {
        let open = self.known.in_flight() + self.strangers.in_flight();
        self.metrics.set_connections(open);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.admitted = None;
        self.connections.count();
    }
}
