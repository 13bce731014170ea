//! `countersign policy` and `countersign payload`: what the program says about
//! policies, cases and payloads.

mod decode;
mod document;
mod explain;
mod malformed;
mod sign;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::served::binary;

/// What a command did.
#[derive(Debug)]
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Done {
    fn ok(self) -> String {
        assert_eq!((self.code, &*self.err), (Some(0), ""), "{}", self.out);
        self.out
    }

    fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    fn lines(&self) -> Vec<&str> {
        self.err.lines().collect()
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs the program in the root of the repository.
fn run(arguments: &[&str]) -> Done {
    let root = env!("CARGO_MANIFEST_DIR");
    Command::new(binary()).args(arguments).current_dir(root).output().unwrap().into()
}

/// The same, with something on standard input.
fn run_with(arguments: &[&str], input: &[u8]) -> Done {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that refuses its arguments, or what is too long, does not read to the end.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input);
    child.wait_with_output().unwrap().into()
}

/// Policies and cases of a test's own.
struct Written(TempDir);

impl Written {
    fn new(policies: &str, cases: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.cedar"), policies).unwrap();
        fs::write(directory.path().join("cases.toml"), cases).unwrap();
        Self(directory)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn run(&self, command: &str, more: &[&str]) -> Done {
        let (dir, cases) = (self.path(""), self.path("cases.toml"));
        run(&[&["policy", command, "--dir", &dir, &cases], more].concat())
    }
}

const EXAMPLES: &str = "examples/policies";

fn example_cases() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(EXAMPLES).join("cases");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.map(|file: PathBuf| file.display().to_string()).collect();
    files.sort();
    assert!(files.len() >= 8, "{files:?}");
    files
}

fn test_examples(options: &[&str]) -> Done {
    let files = example_cases();
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    run(&[&["policy", "test"], options, &files].concat())
}

/// By themselves, and with what the example configuration has in their place.
#[test]
fn every_case_of_the_examples_comes_out_as_expected() {
    let alone = test_examples(&["--dir", EXAMPLES]).ok();
    let last = alone.lines().last().unwrap();
    let (passed, failed) = last.split_once(" passed, ").unwrap();
    assert!(passed.parse::<usize>().unwrap() > 100, "{last}");
    assert_eq!(failed, "0 failed");

    let with = test_examples(&["--config", "examples/sqlite-local.toml"]).ok();
    assert_eq!(with, alone);

    let json = test_examples(&["--dir", EXAMPLES, "--json"]).json();
    assert_eq!(json["passed"].to_string(), passed);
    assert!(json["cases"].as_array().unwrap().iter().all(|case| case["passed"] == true));
}

/// Without its own tables a file takes the configuration's.
#[test]
fn a_configuration_says_what_a_file_does_not() {
    let file = format!("{EXAMPLES}/cases/token-transfers.toml");
    let cases = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let (_, cases) = cases.split_once("[[case]]").unwrap();
    let written = Written::new("", &format!("[[case]]{cases}"));
    let cases = written.path("cases.toml");
    let config = "examples/sqlite-local.toml";
    run(&["policy", "test", "--config", config, &cases]).ok();

    let alone = run(&["policy", "test", "--dir", EXAMPLES, &cases]);
    assert_eq!(alone.code, Some(78));
    let missing = "`environment` is missing: name one, or give a configuration";
    assert_eq!(alone.lines()[0], format!("{cases}:1: {missing}"));
    let neither = run(&["policy", "test", &cases]);
    assert_eq!(neither.code, Some(2), "{}", neither.err);
}

/// A case that expects the opposite fails, and says why it came out as it did.
#[test]
fn a_case_that_is_turned_around_fails() {
    let file = format!("{EXAMPLES}/cases/token-transfers.toml");
    let cases = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let turned = cases.replacen("expect = \"allow\"", "expect = \"deny\"", 1);
    let written = Written::new("", &turned);
    let test = ["policy", "test", "--dir", EXAMPLES, &written.path("cases.toml")];
    let done = run(&test);
    assert_eq!((done.code, &*done.err), (Some(1), ""));
    let expected = "  FAILED  allow   the supplier gets 10 USDC
          expected  deny by payments-sends-usdc
          got       allow by payments-sends-usdc
          forbid office-hours: does not hold
              @reason: Shares are used Monday to Friday, 08:00 to 18:00 UTC
              context.time.hour         9
              context.time.weekday      \"thursday\"
              resource.getTag(\"hours\")  is not there
          permit payments-permits-checkout: does not hold
";
    assert!(done.out.contains(expected), "{}", done.out);
    assert!(done.out.ends_with(" passed, 1 failed\n"), "{}", done.out);

    let json = run(&[&test[..], &["--json"]].concat());
    assert_eq!(json.code, Some(1));
    let json: Value = serde_json::from_str(&json.out).unwrap();
    let failed = &json["cases"][0];
    assert_eq!(json["failed"], 1);
    assert_eq!(failed["case"], "the supplier gets 10 USDC");
    assert_eq!(failed["passed"], false);
    assert_eq!((&failed["expected"], &failed["got"]), (&"deny".into(), &"allow".into()));
}

/// Which policies decide is compared too: exactly those, in any order.
#[test]
fn a_case_says_which_policies_decide() {
    let policies = "
        @id(\"b\") permit (principal, action == Action::\"UseShare\", resource);
        @id(\"a\") permit (principal, action == Action::\"UseShare\", resource);";
    for (listed, code) in [
        ("policies = [\"a\", \"b\"]", 0),
        ("policies = [\"b\", \"a\"]", 0),
        ("", 0),
        ("policies = [\"a\"]", 1),
        ("policies = []", 1),
        ("policies = [\"a\", \"b\", \"c\"]", 1),
    ] {
        let case = case("UseShare", &format!("expect = \"allow\"\n{listed}"));
        let done = Written::new(policies, &case).run("test", &[]);
        assert_eq!(done.code, Some(code), "{listed}: {}", done.out);
    }
}

/// Without a time the case is of now, and without a protection of the better one.
#[test]
fn what_a_case_leaves_out_has_a_default() {
    let policies = "
        @id(\"now\") permit (principal, action == Action::\"UseShare\", resource)
        when { context.time.unix > 1700000000 && context.protection == \"memfd_secret\" };";
    let allowed = case("UseShare", "expect = \"allow\"");
    Written::new(policies, &allowed).run("test", &[]).ok();
    for other in ["time = \"2020-01-01T00:00:00Z\"", "protection = \"mlock\""] {
        let denied = case("UseShare", &format!("expect = \"deny\"\n{other}"));
        Written::new(policies, &denied).run("test", &[]).ok();
    }
}

/// What is valid and probably not meant is said, and is no failure.
#[test]
fn what_is_probably_not_meant_is_warned_of() {
    let policies = "
        @id(\"none\") permit (principal == Caller::\"paymnts\", action == Action::\"UseShare\", resource)
        when { context.time.hour > 3 };";
    let written = Written::new(policies, &case("UseShare", "expect = \"deny\""));
    assert_eq!(written.run("test", &[]).ok().lines().last(), Some("1 passed, 0 failed"));
    let config = ["--config", "examples/sqlite-local.toml"];
    for (command, more) in [("test", &config[..]), ("explain", &[&config[..], &["it"]].concat())] {
        let done = written.run(command, more);
        assert_eq!(done.code, Some(0), "{}", done.err);
        let expected = "names the caller \"paymnts\", which the configuration lacks";
        let [warning] = done.lines()[..] else { panic!("{}", done.err) };
        assert!(warning.starts_with("warning: ") && warning.contains(expected), "{warning}");
    }
}

/// A file with one case, named `it`.
fn case(action: &str, more: &str) -> String {
    format!(
        "environment = \"test\"
[[caller]]
name = \"app\"
uid = 1
[[case]]
name = \"it\"
caller = \"app\"
action = \"{action}\"
wallet = \"w\"
algorithm = \"ecdsa-secp256k1\"
share = \"0b6f2d6e-6d8a-4f0e-9a53-3f1c0a7d5e21\"
{more}
"
    )
}
