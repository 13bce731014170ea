//! The fuzz targets' bodies, run a bounded number of times on mutations of real
//! inputs. The same every time: `FUZZ_SEED` asks for another run and
//! `FUZZ_EXECUTIONS` for a longer one.

#[path = "../fuzz/bodies.rs"]
mod bodies;
mod mutation;

use std::{env, panic, str::FromStr};

use mutation::Mutator;

use crate::envelope::Vectors;

const EXECUTIONS: u64 = 200_000;

#[test]
fn envelope() {
    let vectors = Vectors::read();
    let positive = vectors
        .positive
        .iter()
        .map(|vector| vector.envelope.clone());
    let negative = vectors.negative.iter().flat_map(|vector| {
        let envelopes = vectors.envelopes(vector);
        envelopes.into_iter().map(|(_, envelope)| envelope)
    });
    let seeds: Vec<_> = positive
        .chain(negative)
        .filter(|seed| seed.len() <= 1024)
        .collect();
    run(bodies::envelope, &seeds);
}

/// Runs a body on every seed as it is, and then on mutations of them.
fn run(body: fn(&[u8]), seeds: &[Vec<u8>]) {
    for seed in seeds {
        body(seed);
    }
    let first = from_environment("FUZZ_SEED").unwrap_or(1);
    let executions = from_environment("FUZZ_EXECUTIONS").unwrap_or(EXECUTIONS);
    let mut mutator = Mutator::new(first, seeds);
    for execution in 0..executions {
        let input = mutator.next();
        if let Err(panicked) = panic::catch_unwind(|| body(input)) {
            eprintln!(
                "FUZZ_SEED={first}, execution {execution}, input {}",
                hex::encode(input)
            );
            panic::resume_unwind(panicked);
        }
    }
}

fn from_environment<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok()?.parse().ok()
}
