//! The examples are what a newcomer copies: they parse, show every default, and
//! fit together.

use std::path::{Path, PathBuf};

use countersign::{
    config::{Config, Limits},
    policy::{Facts, Policy},
};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// Loads an example as it is, and with every key that is commented out.
fn load(name: &str) -> Config {
    let file = examples().join(name);
    let source = std::fs::read_to_string(&file).unwrap();
    let whole: Vec<_> = source.lines().map(uncommented).collect();
    if let Err(problems) = Config::parse(&whole.join("\n")) {
        panic!("{name}, with what is commented out: {problems:?}");
    }
    let config = Config::load(&file).unwrap();
    let limits = (config.limits, Limits::default());
    assert_eq!(
        format!("{:?}", limits.0),
        format!("{:?}", limits.1),
        "{name} does not show the defaults"
    );
    config
}

/// `# key = value` without its `#`; prose has no such lines.
fn uncommented(line: &str) -> &str {
    let key = |text: &str| {
        text.split_once(" = ").is_some_and(|(key, _)| {
            key.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '.'))
        })
    };
    line.strip_prefix("# ").filter(|text| key(text)).unwrap_or(line)
}

#[test]
fn sqlite_local() {
    load("sqlite-local.toml");
}

#[test]
fn sqlite_vault() {
    load("sqlite-vault.toml");
}

#[test]
fn postgres_vault() {
    load("postgres-vault.toml");
}

/// Valid against the schema, and about callers and groups that the example
/// configuration has.
#[test]
fn policies() {
    let directory = examples().join("policies");
    if let Err(problems) = Policy::load(&directory, Facts::default()) {
        panic!("{problems:?}");
    }
    let config = load("sqlite-local.toml");
    let callers: Vec<_> = config.callers.iter().collect();
    for file in std::fs::read_dir(directory).unwrap() {
        let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for name in quoted(&source, "Caller::\"") {
            assert!(callers.iter().any(|caller| *caller.name == *name), "{name}");
        }
        for name in quoted(&source, "Group::\"") {
            let has = |groups: &[Box<str>]| groups.iter().any(|group| **group == *name);
            assert!(callers.iter().any(|caller| has(&caller.groups)), "{name}");
        }
    }
}

fn quoted<'a>(source: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    let names = source.split(before).skip(1);
    names.map(|rest| rest.split('"').next().unwrap())
}
