//! `[traces]`: where requests are told of, and in what they are wrapped on the way.

use countersign::config::Config;

use super::{GOOD, problems};

fn traces(keys: &str) -> String {
    format!("{GOOD}\n[traces]\n{keys}\n")
}

#[test]
fn off_unless_configured() {
    assert!(Config::parse(GOOD).unwrap().traces.is_none());
    let all = traces("endpoint = \"http://127.0.0.1:4317\"");
    let settings = Config::parse(&all).unwrap().traces.unwrap();
    assert_eq!((settings.ratio, settings.ca_file), (1.0, None));
    let some = traces(
        "endpoint = \"https://collector.internal:4317\"\nca_file = \"/etc/ca.pem\"\nratio = 0.25",
    );
    let settings = Config::parse(&some).unwrap().traces.unwrap();
    assert_eq!(settings.ratio, 0.25);
    assert_eq!(settings.ca_file.unwrap().to_str(), Some("/etc/ca.pem"));
}

#[test]
fn each_mistake_says_what_to_write() {
    let away = "endpoint = \"http://collector.internal:4317\"";
    for local in ["http://localhost:4317", "http://[::1]:4317", "http://127.0.0.2:4317"] {
        Config::parse(&traces(&format!("endpoint = \"{local}\""))).unwrap();
    }
    Config::parse(&traces(&format!("{away}\nunencrypted = true"))).unwrap();
    let address = "`traces.endpoint` must be an address such as";
    let cases = [
        ("", "`traces.endpoint` is missing: an address such as"),
        ("endpoint = \"collector:4317\"", address),
        ("endpoint = \"grpc://collector:4317\"", address),
        (away, "is not encrypted and not on loopback"),
        ("endpoint = \"https://collector:4317\"", "`traces.ca_file` is missing: the path of the"),
        (
            "endpoint = \"http://127.0.0.1:4317\"\nca_file = \"/etc/ca.pem\"",
            "`traces.ca_file` is for an https address",
        ),
        (
            "endpoint = \"http://127.0.0.1:4317\"\nratio = 1.5",
            "`traces.ratio` must be a number from 0.0 to 1.0",
        ),
        (
            "endpoint = \"http://127.0.0.1:4317\"\nratio = nan",
            "`traces.ratio` must be a number from 0.0 to 1.0",
        ),
        (
            "endpoint = \"http://127.0.0.1:4317\"\nheaders = \"a\"",
            "unknown key `headers` in [traces]",
        ),
    ];
    for (keys, expected) in cases {
        let found = problems(&traces(keys));
        assert!(found.iter().any(|problem| problem.contains(expected)), "{keys}: {found:#?}");
    }
}
