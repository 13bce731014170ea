//! Which records are of interest.

use std::time::SystemTime;

use clap::Args;

use crate::audit::record::{Event, Outcome, Record, Request};

/// Which records to show; all of them when nothing is given
#[derive(Args)]
pub struct Filter {
    /// Recorded at or after this time, such as 2027-01-31T23:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<SystemTime>,
    /// Recorded before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<SystemTime>,
    /// Of this caller
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    /// Of this share
    #[arg(long, value_name = "UUID")]
    share: Option<String>,
    /// signed, done, denied, failed, cancelled or indeterminate
    #[arg(long, value_name = "WORD", value_parser = outcome)]
    outcome: Option<Outcome>,
}

impl Filter {
    /// Whether a record passes, whose request has its outcome in it.
    pub fn passes(&self, record: &Record) -> bool {
        let time = record.time.moment();
        let in_time = self.since.is_none_or(|since| time.is_some_and(|time| time >= since))
            && self.until.is_none_or(|until| time.is_some_and(|time| time < until));
        in_time
            && match &record.event {
                Event::Request(request) => self.passes_request(request),
                Event::Refused(refused) => {
                    let caller = self.caller.is_none() || self.caller == refused.caller;
                    caller && self.share.is_none() && self.outcome.is_none()
                }
                _ => self.caller.is_none() && self.share.is_none() && self.outcome.is_none(),
            }
    }

    fn passes_request(&self, request: &Request) -> bool {
        let outcome = request.ended.as_ref().map(|ended| ended.outcome);
        self.caller.as_ref().is_none_or(|caller| *caller == request.caller)
            && (self.share.is_none() || self.share == request.share)
            && (self.outcome.is_none() || self.outcome == outcome)
    }
}

fn time(text: &str) -> Result<SystemTime, String> {
    let what = "a time in UTC such as 2027-01-31T23:00:00Z";
    humantime::parse_rfc3339_weak(text).map_err(|error| format!("{error}: {what}"))
}

fn outcome(word: &str) -> Result<Outcome, String> {
    let words = Outcome::ALL.map(Outcome::as_str);
    let found = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == word);
    found.ok_or_else(|| format!("one of {}", words.join(", ")))
}
