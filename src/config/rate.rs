//! Rates: `rate = "200/s"`, and the burst that goes with one.

use std::{num::NonZeroU32, time::Duration};

use super::document::Table;
use crate::rate::Quota;

/// The most per unit of time, and the largest burst. Beyond a million per second a
/// limit limits nothing.
const MOST: u32 = 1_000_000;

/// Reads a rate and its burst; none where there is no rate, or a problem.
pub(super) fn read(table: &Table<'_>, rate: &'static str, burst: &'static str) -> Option<Quota> {
    let what = "a rate in quotes, 1 to 1000000 per s, m or h, such as \"200/s\" or \"10/h\"";
    let quota = table.or(rate, what, None, |value| parse(value.as_str()?).map(Some));
    let burst_size = table.optional_number(burst, 1..=MOST);
    if let (Some(None), Some(Some(_))) = (quota, burst_size) {
        table.note(format!("`{burst}` without `{rate}` limits nothing: add a rate or remove it"));
    }
    let quota = quota??;
    let burst = burst_size?.and_then(NonZeroU32::new);
    Some(burst.map_or(quota, |burst| quota.allow_burst(burst)))
}

/// `200/s`: a token every 5 ms, and as many as in the text at once.
fn parse(text: &str) -> Option<Quota> {
    let (number, unit) = text.split_once('/')?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    // The parser would take a sign.
    let digits = number.bytes().all(|digit| digit.is_ascii_digit());
    let number: NonZeroU32 = number.parse().ok()?;
    if !digits || number.get() > MOST {
        return None;
    }
    // Up to a whole nanosecond, so that the rate is never exceeded.
    let nanos = (seconds * 1_000_000_000).div_ceil(number.get().into());
    Some(Quota::with_period(Duration::from_nanos(nanos))?.allow_burst(number))
}
