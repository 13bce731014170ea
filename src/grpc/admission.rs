//! Admission: how much may be in flight, in all and per caller.
//!
//! A request is refused at once when there is no room; it never queues, so that
//! an overload shows as RESOURCE_EXHAUSTED and not as latency. Streams and unary
//! requests have room of their own: streams that are held open for minutes
//! cannot keep unary requests out.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{caller::Party, refusal::Refusal};

/// Room for one kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// In all.
    pub total: usize,
    /// For one caller.
    pub per_caller: usize,
}

/// What is in flight of one kind.
#[derive(Clone)]
pub struct Admission(Arc<State>);

struct State {
    room: Room,
    in_flight: Mutex<InFlight>,
}

#[derive(Default)]
struct InFlight {
    total: usize,
    by_party: HashMap<Party, usize>,
}

/// One admitted request; its room is free again when this is dropped.
pub struct Admitted {
    state: Arc<State>,
    party: Party,
}

impl Admission {
    /// Empty room.
    pub fn new(room: Room) -> Self {
        Self(Arc::new(State { room, in_flight: Mutex::default() }))
    }

    /// Takes room for one request of a party.
    ///
    /// # Errors
    /// `Overloaded`, with which of the two limits was reached.
    pub fn admit(&self, party: Party) -> Result<Admitted, Refusal> {
        let Room { total, per_caller } = self.0.room;
        let mut in_flight = self.0.in_flight();
        if in_flight.total >= total {
            return Err(Refusal::Overloaded("the limit of all callers"));
        }
        let own = in_flight.by_party.entry(party.clone()).or_default();
        if *own >= per_caller {
            return Err(Refusal::Overloaded("the limit of this caller"));
        }
        *own += 1;
        in_flight.total += 1;
        Ok(Admitted { state: Arc::clone(&self.0), party })
    }

    /// How much is in flight.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight().total
    }
}

impl State {
    fn in_flight(&self) -> std::sync::MutexGuard<'_, InFlight> {
        // Counting up and down cannot leave the counts half-changed.
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut in_flight = self.state.in_flight();
        in_flight.total -= 1;
        if let Some(own) = in_flight.by_party.get_mut(&self.party) {
            *own -= 1;
            if *own == 0 {
                in_flight.by_party.remove(&self.party);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_limited_in_all_and_per_caller_and_comes_back() {
        let admission = Admission::new(Room { total: 3, per_caller: 2 });
        let first = admission.admit(Party::User(1)).unwrap();
        let _second = admission.admit(Party::User(1)).unwrap();
        assert!(admission.admit(Party::User(1)).is_err(), "two for one caller");
        let _third = admission.admit(Party::User(2)).unwrap();
        assert!(admission.admit(Party::User(3)).is_err(), "three in all");
        drop(first);
        let _fourth = admission.admit(Party::User(3)).unwrap();
        assert_eq!(admission.in_flight(), 3);
        assert_eq!(admission.0.in_flight().by_party.len(), 3);
    }
}
