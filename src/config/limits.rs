//! The limits, with their defaults and the reasons for them.

use std::time::Duration;

use super::{document::Table, rate};
use crate::{
    grpc::{ConnectionLimits, Room},
    rate::RateLimits,
    session::SessionLimits,
};

/// What may be in flight, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Unary requests.
    pub unary: Room,
    /// Open streams.
    pub streams: Room,
    /// Connections.
    pub connections: ConnectionLimits,
    /// One stream.
    pub session: SessionLimits,
    /// The deadline of a unary request that sets none.
    pub deadline: Duration,
    /// The longest deadline of a unary request.
    pub longest_deadline: Duration,
    /// How often callers may call, and shares sign.
    pub rates: RateLimits,
}

/// Slots that are neither a unary request's nor a stream's: what generation and
/// wrapping take besides the one slot of their request.
const EXTRA_SLOTS: usize = 8;

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A slot of secret memory each: 1 MiB.
            unary: Room { total: 256, per_caller: 192 },
            // A slot each, held for as long as the stream.
            streams: Room { total: 64, per_caller: 48 },
            connections: ConnectionLimits {
                connections: Room { total: 512, per_caller: 384 },
                // HTTP/2's own recommended minimum is 100 (RFC 9113 §6.5.2).
                streams: 256,
                // Longer than any request or stream stays silent.
                idle: Duration::from_secs(120),
                // Kubernetes gives 30 s in all.
                grace: Duration::from_secs(20),
            },
            session: SessionLimits {
                idle: Duration::from_secs(10),
                lifetime: Duration::from_secs(300),
                operations: 100_000,
                in_flight: 256,
                open_within: Duration::from_secs(10),
            },
            deadline: Duration::from_secs(10),
            longest_deadline: Duration::from_secs(30),
            // No figure fits both a KMS's quota for `Sign` and the thousands of
            // signatures per second for which a stream is made.
            rates: RateLimits { caller: None, share: None },
        }
    }
}

impl Limits {
    /// How many slots of secret memory these limits need.
    pub fn slots(&self) -> usize {
        self.unary.total + self.streams.total + EXTRA_SLOTS
    }
}

pub(super) fn read(limits: Table<'_>, session: Table<'_>) -> Option<Limits> {
    let default = Limits::default();
    let unary = room(&limits, "in_flight", "in_flight_per_caller", default.unary, 900);
    let streams = room(&limits, "streams", "streams_per_caller", default.streams, 900);
    let connections = room(
        &limits,
        "connections",
        "connections_per_caller",
        default.connections.connections,
        10_000,
    );
    let per_connection =
        limits.number("requests_per_connection", Some(default.connections.streams), 1..=1000);
    let seconds = Duration::from_secs;
    let duration = |key, default, range| limits.duration(key, default, range);
    let idle = duration("connection_idle", default.connections.idle, seconds(5)..=seconds(3600));
    let grace = duration("grace", default.connections.grace, seconds(0)..=seconds(600));
    let deadline = duration("deadline", default.deadline, Duration::from_millis(10)..=seconds(60));
    let longest_deadline = duration(
        "longest_deadline",
        default.longest_deadline,
        Duration::from_millis(10)..=seconds(60),
    );
    let rates = RateLimits {
        caller: rate::read(&limits, "caller_rate", "caller_burst"),
        share: rate::read(&limits, "share_rate", "share_burst"),
    };
    if let (Some(deadline), Some(longest)) = (deadline, longest_deadline)
        && deadline > longest
    {
        limits.note("`limits.deadline` is longer than `limits.longest_deadline`");
    }

    let base = default.session;
    let stream_idle = session.duration("idle", base.idle, Duration::from_millis(10)..=base.idle);
    let lifetime =
        session.duration("lifetime", base.lifetime, Duration::from_millis(10)..=seconds(300));
    let operations = session.number("operations", Some(base.operations), 1..=base.operations);
    let in_flight = session.number("in_flight", Some(base.in_flight), 1..=1024);
    let silent = longest_deadline.max(stream_idle);
    if idle <= silent && silent.is_some() && idle.is_some() {
        limits.note(
            "`limits.connection_idle` must be longer than `limits.longest_deadline` and \
             `session.idle`, or connections that wait for an answer are closed",
        );
    }
    limits.finish();
    session.finish();
    Some(Limits {
        unary: unary?,
        streams: streams?,
        connections: ConnectionLimits {
            connections: connections?,
            streams: per_connection?,
            idle: idle?,
            grace: grace?,
        },
        session: SessionLimits {
            idle: stream_idle?,
            lifetime: lifetime?,
            operations: operations?,
            in_flight: in_flight?,
            open_within: deadline?,
        },
        deadline: deadline?,
        longest_deadline: longest_deadline?,
        rates,
    })
}

/// A limit in all and one per caller, which defaults to three quarters, so that
/// no caller can keep all others out.
fn room(
    table: &Table<'_>,
    total: &'static str,
    per_caller: &'static str,
    default: Room,
    most: u32,
) -> Option<Room> {
    let whole = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let total = table.number(total, Some(whole(default.total)), 1..=most)?;
    let share = (total * 3 / 4).max(1);
    let per_caller = table.number(per_caller, Some(share), 1..=total)?;
    Some(Room { total: total as usize, per_caller: per_caller as usize })
}
