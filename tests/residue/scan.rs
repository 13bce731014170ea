//! Looking into a process from this one.

use std::{thread, time::Duration};

use rustix::process::Pid;

use super::tool::{
    needle::Needle, search::Searcher, snapshot::Snapshot, tally::Tally, target::Target,
};

/// Samples of one case: `$COUNTERSIGN_RESIDUE_SAMPLES`, or a handful.
pub fn samples() -> usize {
    std::env::var("COUNTERSIGN_RESIDUE_SAMPLES").map_or(6, |number| number.parse().unwrap())
}

/// Takes that many samples at random moments.
pub async fn scan(pid: Pid, needles: &[Needle], samples: usize) -> Tally {
    let searcher = Searcher::new(needles).unwrap();
    // Somebody else has to go on keeping the process busy.
    blocking(move || {
        let target = open(pid);
        let mut tally = Tally::default();
        for sample in 0..samples {
            pause();
            tally.add(&searcher, &target.snapshot(sample > 0).unwrap());
        }
        tally
    })
    .await
}

/// Once, now. With `changed_only` without what is still as it is in a file.
pub async fn snapshot(pid: Pid, changed_only: bool) -> Snapshot {
    blocking(move || {
        pause();
        open(pid).snapshot(changed_only).unwrap()
    })
    .await
}

/// Prints what was found in each of the cases, and fails when it is anything.
#[track_caller]
pub fn assert_nothing(cases: &[(&str, &Tally)]) {
    for (case, tally) in cases {
        print(case, tally);
    }
    for (case, tally) in cases {
        assert_eq!(tally.samples_with_a_find, 0, "{case}");
        assert_eq!(tally.unseen(), None, "{case}: not looked at");
    }
}

/// Prints what was found, and fails when a sample is without.
#[track_caller]
pub fn assert_always(case: &str, tally: &Tally) {
    print(case, tally);
    assert_eq!(tally.samples_with_a_find, tally.samples, "{case}");
}

fn print(case: &str, tally: &Tally) {
    println!("\n=== {case}\n{tally}");
}

fn open(pid: Pid) -> Target {
    Target::open(pid.as_raw_pid()).unwrap_or_else(|blind| panic!("{blind}"))
}

fn pause() {
    thread::sleep(Duration::from_micros(getrandom::u64().unwrap() % 30_000));
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}
