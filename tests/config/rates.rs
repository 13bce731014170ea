//! `[limits]` and `[[caller]]`: rates and bursts.

use std::time::Duration;

use countersign::{config::Config, rate::Quota};

use super::{GOOD, problems};

/// A document with these keys in `[limits]`.
fn limits(keys: &str) -> String {
    format!("{GOOD}\n[limits]\n{keys}\n")
}

/// A document with these keys of its caller.
fn caller(keys: &str) -> String {
    GOOD.replace("uid = 10001", &format!("uid = 10001\n{keys}"))
}

fn described(quota: Option<Quota>) -> Option<(Duration, u32)> {
    quota.map(|quota| (quota.replenish_interval(), quota.burst_size().get()))
}

#[test]
fn there_is_no_rate_unless_it_is_configured() {
    let config = Config::parse(GOOD).unwrap();
    assert_eq!((config.limits.rates.caller, config.limits.rates.share), (None, None));
    assert!(config.callers.iter().all(|caller| caller.rate.is_none()));
}

#[test]
fn a_rate_is_so_many_per_unit_of_time_and_its_burst_as_many_by_default() {
    let (millis, nanos) = (Duration::from_millis, Duration::from_nanos);
    let cases = [
        ("\"200/s\"", millis(5), 200),
        ("\"1/s\"", millis(1000), 1),
        ("\"30/m\"", millis(2000), 30),
        ("\"10/h\"", millis(360_000), 10),
        ("\"1/h\"", millis(3_600_000), 1),
        ("\"1000000/s\"", nanos(1000), 1_000_000),
        // Never faster than written.
        ("\"3/s\"", nanos(333_333_334), 3),
    ];
    for (text, interval, burst) in cases {
        let keys = format!("caller_rate = {text}\nshare_rate = {text}\nshare_burst = 7");
        let rates = Config::parse(&limits(&keys)).unwrap().limits.rates;
        assert_eq!(described(rates.caller), Some((interval, burst)), "{text}");
        assert_eq!(described(rates.share), Some((interval, 7)), "{text}");
        let config = Config::parse(&caller(&format!("rate = {text}\nburst = 1000000"))).unwrap();
        let rate = config.callers.by_uid(10001).unwrap().rate;
        assert_eq!(described(rate), Some((interval, 1_000_000)), "{text}");
    }
}

#[test]
fn mistakes_with_rates_say_what_to_write() {
    let bad = [
        "200",
        "\"200\"",
        "\"0/s\"",
        "\"/s\"",
        "\"-1/s\"",
        "\"+1/s\"",
        "\"1/d\"",
        "\"1/\"",
        "\"\"",
        "\"1/sec\"",
        "\"1 /s\"",
        "\"1/s/s\"",
        "\"0.5/s\"",
        "\"1000001/s\"",
        "\"4294967297/s\"",
        "true",
    ];
    let must = "a rate in quotes, 1 to 1000000 per s, m or h, such as \"200/s\" or \"10/h\"";
    for bad in bad {
        for key in ["caller_rate", "share_rate"] {
            let found = problems(&limits(&format!("{key} = {bad}")));
            assert_eq!(found, [format!("line 26: `limits.{key}` must be {must}")], "{bad}");
        }
        let found = problems(&caller(&format!("rate = {bad}")));
        assert_eq!(found, [format!("line 10: `caller.rate` must be {must}")], "{bad}");
    }
    let must = "a whole number from 1 to 1000000";
    for bad in ["0", "-1", "1000001", "\"5\"", "1.5"] {
        for key in ["caller_burst", "share_burst"] {
            let rate = key.replace("burst", "rate");
            let found = problems(&limits(&format!("{rate} = \"1/s\"\n{key} = {bad}")));
            assert_eq!(found, [format!("line 27: `limits.{key}` must be {must}")], "{bad}");
        }
        let found = problems(&caller(&format!("rate = \"1/s\"\nburst = {bad}")));
        assert_eq!(found, [format!("line 11: `caller.burst` must be {must}")], "{bad}");
    }
}

#[test]
fn a_burst_needs_a_rate() {
    let without = |burst: &str, rate: &str| {
        format!("`{burst}` without `{rate}` limits nothing: add a rate or remove it")
    };
    let found = problems(&limits("caller_burst = 5\nshare_burst = 5"));
    let expected = [without("caller_burst", "caller_rate"), without("share_burst", "share_rate")];
    assert_eq!(found, expected.map(|problem| format!("line 25: {problem}")));
    // Also where the rate of all would be the caller's.
    let found = problems(&format!("{}\n[limits]\ncaller_rate = \"1/s\"\n", caller("burst = 5")));
    assert_eq!(found, [format!("line 7: {}", without("burst", "rate"))]);
}

/// Every mistake at once, with its line.
#[test]
fn mistakes_with_rates_hide_no_others() {
    let mistakes = caller("rate = \"fast\"\nburst = 0\ncolour = 1")
        + "\n[limits]\ncaller_rate = \"1/s\"\ncaller_burst = 0\nshare_rate = 1\nshare_burts = 2\n";
    let starts = [
        "line 10: `caller.rate` must be",
        "line 11: `caller.burst` must be",
        "line 12: unknown key `colour` in [caller]",
        "line 30: `limits.caller_burst` must be",
        "line 31: `limits.share_rate` must be",
        "line 32: unknown key `share_burts` in [limits]; did you mean `share_burst`?",
    ];
    let found = problems(&mistakes);
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "{found}");
    }
}
