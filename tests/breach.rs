//! The requirements, each broken on purpose. `tests/breach` has a patch for every way to
//! break one, which names the tests that fail then; `tests/breach/run` applies one after the
//! other and runs them, which takes a while. Here is what can be known at once: that every
//! requirement has a patch, that patches apply, that their tests exist, and that
//! `docs/requirements.md` names the same ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

const REQUIREMENTS: [&str; 15] =
    ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "a", "b", "c", "d", "e"];
const DOCUMENT: &str = include_str!("../docs/requirements.md");

/// A patch: lines of what it is, and the change.
struct Breach {
    name: String,
    requirement: String,
    /// Of this binary, and of the library.
    tests: Vec<String>,
    unit_tests: Vec<String>,
}

impl Breach {
    fn parse(name: String, text: &str) -> Self {
        let (head, change) = text.split_once("\ndiff --git ").expect(&name);
        assert!(!change.is_empty(), "{name}");
        let field = |field: &str| -> Vec<String> {
            let lines = head.lines().filter_map(|line| line.strip_prefix(field));
            lines.map(|line| line.trim().to_owned()).collect()
        };
        let [requirement] = &*field("Requirement:") else { panic!("{name}: of which?") };
        assert_eq!(field("Broken:").len(), 1, "{name} says in a line what is broken");
        let (tests, unit_tests) = (field("Test:"), field("Unit test:"));
        let count = tests.len() + unit_tests.len();
        assert!(count > 0, "{name} names no test");
        // One of several, where it is by chance which comes first.
        let told = head.lines().zip(head.lines().skip(1));
        let told = told.filter(|(line, next)| line.contains("est: ") && next.starts_with("Says: "));
        assert_eq!(told.count(), count, "{name}: what does each test say then?");
        let begins = format!("{requirement}-");
        assert!(name.starts_with(&begins), "{name} begins with the requirement");
        Self { requirement: requirement.clone(), tests, unit_tests, name }
    }

    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for entry in fs::read_dir(root().join("tests/breach")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "patch") {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                all.push(Self::parse(name, &fs::read_to_string(path).unwrap()));
            }
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

#[test]
fn every_requirement_has_a_patch() {
    let broken: BTreeSet<_> = Breach::all().into_iter().map(|breach| breach.requirement).collect();
    assert_eq!(broken, REQUIREMENTS.map(str::to_owned).into());
}

#[test]
fn every_patch_applies() {
    let is_there = Command::new("git").arg("--version").output().is_ok();
    if !is_there {
        let lacking = "git is lacking, which says whether the patches of tests/breach apply";
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{lacking}");
        // Past the test harness, which would keep it to itself.
        let _ = writeln!(io::stderr(), "\nSKIPPED, NOT TESTED: {lacking}\n");
        return;
    }
    for Breach { name, .. } in Breach::all() {
        let patch = format!("tests/breach/{name}.patch");
        let applied = Command::new("git")
            .current_dir(root())
            // A repository around this tree would take the paths for its own.
            .env("GIT_CEILING_DIRECTORIES", root().parent().unwrap())
            .args(["apply", "--check", &patch])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&applied.stderr);
        assert!(applied.status.success(), "{patch} has to follow the source: {said}");
    }
}

#[test]
fn every_named_test_exists() {
    let listed = Command::new(env::current_exe().unwrap()).arg("--list").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let here: BTreeSet<_> = listed.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    assert!(here.contains("breach::every_named_test_exists"), "{listed}");
    for Breach { name, tests, unit_tests, .. } in Breach::all() {
        for test in tests {
            assert!(here.contains(&*test), "{name}: there is no {test}");
        }
        for test in unit_tests {
            assert!(is_in_the_source(&test), "{name}: there is no {test}");
        }
    }
}

/// The library's tests are in another binary; their source says as much.
fn is_in_the_source(test: &str) -> bool {
    let path: Vec<_> = test.split("::").collect();
    let (name, modules) = path.split_last().unwrap();
    let written = format!("#[test]\nfn {name}()");
    (1..=modules.len()).any(|depth| {
        let file = Path::new("src").join(modules[..depth].join("/")).with_extension("rs");
        let text = fs::read_to_string(root().join(file)).unwrap_or_default();
        text.replace("\n    ", "\n").contains(&written)
    })
}

/// A row of the document's tables.
struct Row<'a> {
    place: Vec<&'a str>,
    tests: BTreeSet<&'a str>,
}

/// By requirement.
fn rows() -> BTreeMap<&'static str, Row<'static>> {
    let mut rows = BTreeMap::new();
    for line in DOCUMENT.lines() {
        let columns: Vec<_> = line.split('|').map(str::trim).collect();
        let ["", number, _, place, tests, ""] = &*columns else { continue };
        if REQUIREMENTS.contains(number) {
            let row = Row { place: quoted(place), tests: quoted(tests).into_iter().collect() };
            assert!(rows.insert(*number, row).is_none(), "{number} stands there twice");
        }
    }
    rows
}

/// What stands in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_document_names_the_same_tests() {
    let breaches = Breach::all();
    let rows = rows();
    assert_eq!(rows.len(), REQUIREMENTS.len());
    for (number, row) in &rows {
        let broken = breaches.iter().filter(|breach| breach.requirement == *number);
        let tests: BTreeSet<_> = broken
            .flat_map(|breach| breach.tests.iter().chain(&breach.unit_tests))
            .map(String::as_str)
            .collect();
        assert_eq!(row.tests, tests, "requirement {number}");
    }
}

/// Files by their path, and after it what is in them.
#[test]
fn the_document_names_what_is_there() {
    for (number, Row { place, .. }) in rows() {
        let mut text = None;
        for name in place {
            if name.contains('/') || name.starts_with('.') {
                let path = root().join(name);
                assert!(path.exists(), "{number}: {name}");
                text = Some(fs::read_to_string(path).unwrap_or_default());
            } else {
                let text = text.as_ref().unwrap_or_else(|| panic!("{number}: {name} in which?"));
                let item = name.rsplit("::").next().unwrap();
                assert!(text.contains(item), "{number}: {name}");
            }
        }
        assert!(text.is_some(), "{number} is enforced nowhere");
    }
}
