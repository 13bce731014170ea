//! The moment of a decision, UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::policy::attributes::Attributes;

/// A moment, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Moment(i64);

/// In the order of the days since 1970, which began on a Thursday.
pub(in crate::policy) const WEEKDAYS: [&str; 7] =
    ["thursday", "friday", "saturday", "sunday", "monday", "tuesday", "wednesday"];

const DAY: i64 = 24 * 60 * 60;

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }
}

impl Moment {
    pub(super) fn attributes(self, seen: Attributes<'_>) -> Attributes<'_> {
        let second = self.0.rem_euclid(DAY);
        seen.long("unix", self.0)
            .text("weekday", self.weekday())
            .long("hour", second / 3600)
            .long("minute", second / 60 % 60)
    }

    fn weekday(self) -> &'static str {
        let days = usize::try_from(self.0.div_euclid(DAY).rem_euclid(7)).unwrap_or_default();
        WEEKDAYS.get(days).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Dates whose weekday calendars agree on.
    #[test]
    fn weekdays_are_the_calendars() {
        for (seconds, weekday) in [
            (0, "thursday"),
            (86_399, "thursday"),
            (86_400, "friday"),
            // 2000-02-29 12:00.
            (951_825_600, "tuesday"),
            // 2026-11-26 23:59:59.
            (1_795_737_599, "thursday"),
            (1_795_737_600, "friday"),
        ] {
            let moment = Moment::from(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(moment.weekday(), weekday, "{seconds}");
        }
    }
}
