//! docs/policies.md: what it shows is valid, and what there is it shows.

use std::{
    fs,
    path::{Path, PathBuf},
};

use countersign::policy::{Policy, SCHEMA};

use super::Written;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    fs::read_to_string(root().join("docs/policies.md")).unwrap()
}

/// The blocks of code in a language.
fn blocks<'a>(document: &'a str, language: &'a str) -> impl Iterator<Item = &'a str> {
    let blocks = document.split("\n```").skip(1).step_by(2);
    blocks.filter_map(move |block| block.strip_prefix(language)?.strip_prefix('\n'))
}

/// Each is valid by itself (tests/examples.rs); somebody may take all of them.
#[test]
fn the_policies_are_one_set() {
    let document = document();
    let places: Vec<_> = blocks(&document, "cedar").map(|block| ("policies.md", block)).collect();
    assert!(places.len() >= 4, "{places:?}");
    let policies = Policy::parse(places).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(policies.warnings(), []);
}

/// The first policy and the first cases belong together.
#[test]
fn the_first_cases_come_out_as_expected() {
    let document = document();
    let first = |language| blocks(&document, language).next().unwrap();
    let written = Written::new(first("cedar"), first("toml"));
    let told = written.run("test", &[]).ok();
    assert!(told.ends_with("\n2 passed, 0 failed\n"), "{told}");
}

#[test]
fn every_attribute_of_the_schema_is_documented() {
    let document = document();
    let mut found = 0;
    for line in SCHEMA.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        let Some((name, _)) = line.split_once(": ") else { continue };
        let name = name.strip_suffix('?').unwrap_or(name);
        let ends = ["`", "."].map(|end| [format!("`{name}{end}"), format!(".{name}{end}")]);
        // What an action applies to.
        if ["principal", "resource", "context"].contains(&name) {
            continue;
        }
        assert!(ends.as_flattened().iter().any(|shown| document.contains(shown)), "{name}");
        found += 1;
    }
    assert!(found > 70, "{found}");
}

#[test]
fn every_link_leads_somewhere() {
    let document = document();
    let links = document.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    let files: Vec<_> = links.filter(|link| !link.starts_with("https://")).collect();
    assert!(files.len() > 10);
    for file in files {
        assert!(root().join("docs").join(Path::new(file)).exists(), "{file}");
    }
}
