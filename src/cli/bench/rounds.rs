//! Rounds: everything that is compared is measured in turns, A B C A B C …, so
//! that a busy neighbour on the machine slows all of it alike.

use std::time::Duration;

use async_trait::async_trait;

use crate::cli::failure::Failure;

/// Into how many rounds the time of a measurement is split.
const ROUNDS: u32 = 7;
/// How long each measurement runs before the first round counts.
const WARM_UP: Duration = Duration::from_millis(300);

/// Something that can be measured again and again.
#[async_trait]
pub(super) trait Measure: Send {
    /// Runs for about `span`.
    async fn measure(&mut self, span: Duration) -> Result<Figures, Failure>;
}

/// What one measurement found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    /// Half of the operations took no longer than this.
    pub(super) p50_us: f64,
    /// Operations that were done.
    pub(super) per_second: f64,
}

/// The figures of `N` things, round by round.
pub(super) struct Rounds<const N: usize>(Vec<[Figures; N]>);

impl Figures {
    /// Of single operations within `span`.
    pub(super) fn of(mut latencies: Vec<Duration>, span: Duration) -> Self {
        latencies.sort_unstable();
        let p50 = latencies.get(latencies.len() / 2).copied();
        Self {
            p50_us: p50.unwrap_or_default().as_secs_f64() * 1e6,
            per_second: latencies.len() as f64 / span.as_secs_f64(),
        }
    }
}

/// Measures `things` in turns, each for `seconds` in all.
pub(super) async fn interleave<const N: usize>(
    mut things: [Box<dyn Measure>; N],
    seconds: f64,
) -> Result<Rounds<N>, Failure> {
    for thing in &mut things {
        thing.measure(WARM_UP).await?;
    }
    let span = Duration::from_secs_f64(seconds) / ROUNDS;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut round = [Figures::default(); N];
        for (figures, thing) in round.iter_mut().zip(&mut things) {
            *figures = thing.measure(span).await?;
        }
        rounds.push(round);
    }
    Ok(Rounds(rounds))
}

impl<const N: usize> Rounds<N> {
    /// The median over the rounds of what `value` makes of each round. A ratio is
    /// taken within its round, where both sides met the same neighbours.
    pub(super) fn median(&self, value: impl Fn(&[Figures; N]) -> f64) -> f64 {
        median(self.0.iter().map(value).collect())
    }
}

/// The middle one.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// How many a second can be done whose parts, alone, can be done so many times
/// a second.
pub(super) fn in_turn(rates: &[f64]) -> f64 {
    1.0 / rates.iter().map(|rate| 1.0 / rate).sum::<f64>()
}
