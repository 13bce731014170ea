//! The examples are what a newcomer copies: they parse, show every default, and
//! fit together.

use std::{
    fs,
    path::{Path, PathBuf},
};

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
    let source = fs::read_to_string(&file).unwrap();
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

#[test]
fn vault_kv() {
    load("vault-kv.toml");
}

#[test]
fn directory_vault() {
    load("directory-vault.toml");
}

/// The policies of the examples, by the names of their files.
fn policies() -> Vec<(String, String)> {
    let files = fs::read_dir(examples().join("policies")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let files = files.filter(|file| file.extension().is_some_and(|extension| extension == "cedar"));
    let mut policies: Vec<_> = files
        .map(|file| {
            let source = fs::read_to_string(&file).unwrap();
            (file.file_stem().unwrap().to_str().unwrap().to_owned(), source)
        })
        .collect();
    policies.sort();
    assert!(policies.len() >= 8);
    policies
}

/// Valid against the schema, each with an id and a reason, and about callers, groups,
/// limits and tags that the example configuration has.
#[test]
fn policies_fit_the_configuration() {
    let policy = Policy::load(&examples().join("policies"), Facts::default());
    let policy = policy.unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(policy.warnings(), []);
    let config = load("sqlite-local.toml");
    let document = document(&examples().join("sqlite-local.toml"));
    let callers: Vec<_> = config.callers.iter().collect();
    let (mut ids, mut reasons) = (0, 0);
    for (file, source) in policies() {
        for name in quoted(&source, "Caller::\"") {
            assert!(callers.iter().any(|caller| *caller.name == *name), "{file}: {name}");
        }
        for name in quoted(&source, "Group::\"") {
            let has = |groups: &[Box<str>]| groups.iter().any(|group| **group == *name);
            assert!(callers.iter().any(|caller| has(&caller.groups)), "{file}: {name}");
        }
        let within = source.split("context.within.contains").skip(1);
        for limits in within.map(|rest| rest.split(')').next().unwrap()) {
            let names: Vec<_> = limits.split('"').skip(1).step_by(2).collect();
            assert!(!names.is_empty(), "{file}: {limits}");
            for name in names {
                let is_name = |limit: &toml::Value| limit["name"].as_str() == Some(name);
                assert!(tables(&document, "amount_limit").iter().any(is_name), "{file}: {name}");
            }
        }
        for name in quoted(&source, "Tag(\"") {
            let has = |tags: &toml::Value| tags["set"].get(name).is_some();
            assert!(tables(&document, "tags").iter().any(has), "{file}: {name}");
        }
        ids += source.matches("@id(\"").count();
        reasons += source.matches("@reason(\"").count();
    }
    assert_eq!((ids, reasons), (policy.count(), policy.count()));
}

/// Each file of policies has its cases, which say what the example configuration says.
#[test]
fn cases_fit_the_configuration() {
    let config = document(&examples().join("sqlite-local.toml"));
    let cases = examples().join("policies/cases");
    assert_eq!(fs::read_dir(&cases).unwrap().count(), policies().len());
    for (file, source) in policies() {
        let cases = document(&cases.join(format!("{file}.toml")));
        assert_eq!(cases["environment"], config["environment"], "{file}");
        for key in ["caller", "amount_limit", "tags"] {
            for table in tables(&cases, key) {
                let given = table.as_table().unwrap();
                let same = |known: &toml::Value| {
                    let same = |(key, value)| known.get::<&String>(key) == Some(value);
                    known.get("wallet") == given.get("wallet") && given.iter().all(same)
                };
                assert!(tables(&config, key).iter().any(same), "{file}: {table}");
            }
        }
        // Allowed and denied, by each policy of the file.
        for id in quoted(&source, "@id(\"") {
            let decides = |case: &toml::Value| {
                case.get("policies").is_some_and(|ids| ids.as_array().unwrap().contains(&id.into()))
            };
            assert!(tables(&cases, "case").iter().any(decides), "{file}: {id}");
        }
        for expect in ["allow", "deny"] {
            let expects = |case: &toml::Value| case["expect"].as_str() == Some(expect);
            assert!(tables(&cases, "case").iter().any(expects), "{file}: {expect}");
        }
        // One whose time is now would come out otherwise on another day.
        for case in tables(&cases, "case") {
            assert!(case.get("time").is_some(), "{file}: {}", case["name"]);
        }
    }
}

fn document(file: &Path) -> toml::Table {
    fs::read_to_string(file).unwrap().parse().unwrap()
}

fn tables<'a>(document: &'a toml::Table, key: &str) -> &'a [toml::Value] {
    document.get(key).and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn quoted<'a>(source: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    let names = source.split(before).skip(1);
    names.map(|rest| rest.split('"').next().unwrap())
}

/// What the documents show of Cedar is valid, and warns of nothing.
#[test]
fn policies_in_documents() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (document, least) in [("README.md", 1), ("docs/policies.md", 4), ("docs/callers.md", 1)] {
        let text = fs::read_to_string(root.join(document)).unwrap();
        let snippets =
            text.split("```cedar\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let snippets: Vec<_> = snippets.collect();
        assert!(snippets.len() >= least, "{document}");
        for snippet in snippets {
            match Policy::parse([(document, snippet)]) {
                Ok(policy) => assert_eq!(policy.warnings(), [], "{snippet}"),
                Err(problems) => panic!("{problems:?}\n{snippet}"),
            }
        }
    }
}
