use std::{num::NonZeroU32, thread};

use governor::clock::FakeRelativeClock;
use proptest::prelude::*;

use super::*;

fn every(period: Duration, burst: u32) -> Quota {
    Quota::with_period(period).unwrap().allow_burst(NonZeroU32::new(burst).unwrap())
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn caller(name: &str, uid: u32, rate: Option<Quota>) -> Caller {
    Caller { name: name.into(), uid: Some(uid), spiffe_id: None, groups: Box::default(), rate }
}

/// Rates on a clock that stands still, and the clock.
fn rates(
    callers: &[&Caller],
    caller: Option<Quota>,
    share: Option<Quota>,
) -> (Rates<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    let callers = callers.iter().copied().cloned().collect();
    let limits = RateLimits { caller, share };
    (Rates::with_clock(&callers, limits, Metrics::new(), &clock), clock)
}

fn too_fast(limit: Limit, wait: Duration) -> Result<(), TooFast> {
    Err(TooFast { limit, wait })
}

#[test]
fn a_burst_passes_and_then_one_per_interval() {
    let app = caller("app", 1, None);
    let quota = every(millis(100), 3);
    let (rates, clock) = rates(&[&app], Some(quota), Some(quota));
    let share = ShareId::random();
    let takes: [(_, &dyn Fn() -> Result<(), TooFast>); 2] = [
        (Limit::Caller, &|| rates.take_call(&app)),
        (Limit::Share, &|| rates.take_signature(share)),
    ];
    for _ in 0..3 {
        for (_, take) in takes {
            assert_eq!(take(), Ok(()));
        }
    }
    for (limit, take) in takes {
        // What is refused costs nothing, however often it is tried.
        for _ in 0..1000 {
            assert_eq!(take(), too_fast(limit, millis(100)));
        }
    }
    clock.advance(millis(99));
    for (limit, take) in takes {
        assert_eq!(take(), too_fast(limit, millis(1)));
    }
    clock.advance(millis(1));
    for (limit, take) in takes {
        assert_eq!(take(), Ok(()));
        assert_eq!(take(), too_fast(limit, millis(100)));
    }
    // However long nothing is taken, a bucket holds no more than its burst.
    clock.advance(Duration::from_secs(86_400));
    for (limit, take) in takes {
        assert_eq!([take(), take(), take()], [Ok(()); 3]);
        assert_eq!(take(), too_fast(limit, millis(100)));
    }
}

/// Rounded down, a call that waits as long as it was told would be refused again.
#[test]
fn the_wait_is_told_in_whole_milliseconds_and_is_enough() {
    let app = caller("app", 1, None);
    let third = Duration::from_nanos(333_333_334);
    let (rates, clock) = rates(&[&app], Some(every(third, 1)), None);
    rates.take_call(&app).unwrap();
    assert_eq!(rates.take_call(&app), too_fast(Limit::Caller, millis(334)));
    clock.advance(third - Duration::from_nanos(1));
    assert_eq!(rates.take_call(&app), too_fast(Limit::Caller, millis(1)));
    clock.advance(millis(1));
    assert_eq!(rates.take_call(&app), Ok(()));
}

#[test]
fn callers_have_buckets_of_their_own_and_rates_where_they_name_them() {
    let [first, second] = [caller("first", 1, None), caller("second", 2, None)];
    let slow = caller("slow", 3, Some(every(millis(5000), 1)));
    let callers = [&first, &second, &slow];
    let (limited, _) = rates(&callers, Some(every(millis(10), 2)), None);
    for _ in 0..2 {
        limited.take_call(&first).unwrap();
    }
    limited.take_call(&first).unwrap_err();
    for _ in 0..2 {
        limited.take_call(&second).unwrap();
    }
    limited.take_call(&slow).unwrap();
    assert_eq!(limited.take_call(&slow), too_fast(Limit::Caller, millis(5000)));

    let (unlimited, _) = rates(&callers, None, None);
    unlimited.take_call(&slow).unwrap();
    unlimited.take_call(&slow).unwrap_err();
    for _ in 0..10_000 {
        unlimited.take_call(&first).unwrap();
        unlimited.take_signature(ShareId::random()).unwrap();
    }
}

#[test]
fn shares_have_buckets_of_their_own_and_apart_from_callers() {
    let app = caller("app", 1, None);
    let quota = every(millis(10), 1);
    let (rates, _) = rates(&[&app], Some(quota), Some(quota));
    let [first, second] = [ShareId::random(), ShareId::random()];
    rates.take_signature(first).unwrap();
    rates.take_signature(first).unwrap_err();
    rates.take_signature(second).unwrap();
    rates.take_call(&app).unwrap();
    rates.take_call(&app).unwrap_err();
}

/// Clones take from the same buckets, on any thread: not one token too many.
#[test]
fn exactly_the_burst_passes_whoever_takes_it() {
    let app = caller("app", 1, None);
    let quota = every(Duration::from_secs(3600), 1000);
    let (rates, _) = rates(&[&app], Some(quota), Some(quota));
    let share = ShareId::random();
    let taken = |take: &(dyn Fn(&Rates<FakeRelativeClock>) -> bool + Sync)| {
        let taker = |rates: Rates<_>| move || (0..400).filter(|_| take(&rates)).count();
        thread::scope(|scope| {
            let takers: Vec<_> = (0..8).map(|_| scope.spawn(taker(rates.clone()))).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum::<usize>()
        })
    };
    assert_eq!(taken(&|rates| rates.take_call(&app).is_ok()), 1000);
    assert_eq!(taken(&|rates| rates.take_signature(share).is_ok()), 1000);
}

#[test]
fn each_refusal_is_counted_by_whose_rate_it_was() {
    let app = caller("app", 1, None);
    let quota = every(millis(10), 1);
    let (rates, _) = rates(&[&app], Some(quota), Some(quota));
    let counted = |caller, share| {
        let text = rates.0.metrics.encode().unwrap();
        for (limit, count) in [("caller", caller), ("share", share)] {
            let line = format!("countersign_rate_refusals_total{{limit=\"{limit}\"}} {count}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    };
    let share = ShareId::random();
    counted(0, 0);
    rates.take_call(&app).unwrap();
    rates.take_signature(share).unwrap();
    counted(0, 0);
    rates.take_signature(share).unwrap_err();
    counted(0, 1);
    for _ in 0..2 {
        rates.take_call(&app).unwrap_err();
    }
    counted(2, 1);
}

/// A share that signed once and never again is forgotten.
#[test]
fn full_buckets_are_dropped() {
    let (rates, clock) = rates(&[], None, Some(every(millis(10), 5)));
    let shares = rates.0.shares.as_ref().unwrap();
    let mut most = 0;
    for _ in 0..100_000 {
        rates.take_signature(ShareId::random()).unwrap();
        clock.advance(millis(1));
        most = most.max(shares.len());
    }
    // Twenty are not full or were full for less than an interval.
    assert!((1024..1100).contains(&most), "{most}");
}

/// What is not full is kept, through every sweep.
#[test]
fn an_empty_bucket_is_never_forgotten() {
    let (rates, clock) = rates(&[], None, Some(every(Duration::from_secs(3600), 2)));
    let empty = ShareId::random();
    for _ in 0..2 {
        rates.take_signature(empty).unwrap();
    }
    for _ in 0..20_000 {
        rates.take_signature(ShareId::random()).unwrap();
        rates.take_signature(empty).unwrap_err();
    }
    assert_eq!(rates.0.shares.as_ref().unwrap().len(), 20_001);
    clock.advance(Duration::from_secs(3600));
    rates.take_signature(empty).unwrap();
    rates.take_signature(empty).unwrap_err();
}

proptest! {
    /// Against a bucket that is written down as such: tokens, and time since the
    /// last one came.
    #[test]
    fn it_is_a_token_bucket(
        interval in 1..2_000_000_000_u64,
        burst in 1..20_u32,
        pauses in prop::collection::vec(0..3_000_000_000_u64, 1..200),
    ) {
        let app = caller("app", 1, None);
        let (rates, clock) =
            rates(&[&app], Some(every(Duration::from_nanos(interval), burst)), None);
        let (mut tokens, mut since) = (u64::from(burst), 0);
        for pause in pauses {
            clock.advance(Duration::from_nanos(pause));
            since += pause;
            tokens += since / interval;
            since %= interval;
            if tokens >= u64::from(burst) {
                // Full: the next interval begins when a token is taken.
                (tokens, since) = (u64::from(burst), 0);
            }
            let expected = match tokens {
                0 => too_fast(Limit::Caller, millis((interval - since).div_ceil(1_000_000))),
                _ => Ok(()),
            };
            tokens = tokens.saturating_sub(1);
            prop_assert_eq!(rates.take_call(&app), expected);
        }
    }
}
