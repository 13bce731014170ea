//! The rules of the trust boundary that the compiler does not check, read off
//! the source. Comments and string literals do not count.

mod source;

use source::{File, files};

/// One address: the module and its files.
const SECMEM: &str = "src/enclave/secmem";
const ENCLAVE_LINES: usize = 1420;
const FILE_LINES: usize = 500;

#[test]
fn unsafe_has_one_address() {
    let mut blocks = 0;
    for file in files() {
        let found = file.lines_with(&["unsafe"]);
        blocks += found.len();
        let allowed = file.path.starts_with(SECMEM);
        assert!(allowed || found.is_empty(), "{}: {found:?}", file.path);
    }
    assert!(blocks > 0, "the search finds nothing anywhere");
}

/// Lint levels are set where they are read: denied at the root, expected for
/// one module, forbidden elsewhere.
#[test]
fn unsafe_is_let_in_once() {
    let mut let_in = Vec::new();
    for file in files() {
        for number in file.lines_with(&["unsafe_code"]) {
            let line = &file.code[number - 1];
            if !line.contains("forbid(unsafe_code)") && !line.contains("deny(unsafe_code)") {
                let_in.push(file.path.clone());
            }
        }
    }
    assert_eq!(let_in, ["src/enclave.rs"]);
    let root = files().into_iter().find(|file| file.path == "src/lib.rs");
    let denied = |line: &String| line.contains("#![deny(unsafe_code)]");
    assert!(root.unwrap().code.iter().any(denied));
}

#[test]
fn every_unsafe_says_why_it_is_sound() {
    for file in files() {
        for number in file.lines_with(&["unsafe"]) {
            let comment: Vec<_> = file.text[..number - 1]
                .iter()
                .rev()
                .map(|line| line.trim_start())
                .take_while(|line| line.starts_with("//"))
                .collect();
            let says = |line: &&str| line.contains("SAFETY:") || line.contains("# Safety");
            let reason = comment.iter().any(says);
            assert!(reason, "{}:{number} has no SAFETY: comment", file.path);
        }
    }
}

#[test]
fn secrets_are_read_in_the_enclave_and_by_the_kms_only() {
    let mut readers = 0;
    for file in files() {
        let found = file.lines_with(&["reveal"]);
        readers += found.len();
        let allowed = file.in_enclave() || file.path.starts_with("src/kms");
        assert!(allowed || found.is_empty(), "{}: {found:?}", file.path);
    }
    assert!(readers > 0, "the search finds nothing anywhere");
}

/// What verifies needs no review for secrets, because it can have none.
#[test]
fn signatures_are_verified_without_secrets() {
    let room =
        |file: &File| file.path == "src/signature.rs" || file.path.starts_with("src/signature/");
    let mut found = 0;
    for file in files().into_iter().filter(room) {
        let words = ["enclave", "Slot", "Dek", "SecretKey", "SigningKey"];
        let secret = file.lines_with(&words);
        assert!(secret.is_empty(), "{}: {secret:?}", file.path);
        found += 1;
    }
    assert!(found > 0, "the search finds no such room");
}

/// What fetches envelopes without a permit has nothing to open them with.
#[test]
fn what_moves_envelopes_opens_none() {
    let room =
        |file: &File| file.path == "src/transfer.rs" || file.path.starts_with("src/transfer/");
    let mut uses = 0;
    for file in files() {
        let found = file.lines_with(&["to_move"]);
        let allowed = room(&file) || file.path == "src/policy/permit.rs";
        assert!(allowed || found.is_empty(), "{}: {found:?}", file.path);
        uses += found.len();
        if room(&file) {
            let words = ["kms", "Kms", "enclave", "Enclave", "permitted", "Dek", "Slot"];
            let found = file.lines_with(&words);
            assert!(found.is_empty(), "{}: {found:?}", file.path);
        }
    }
    assert!(uses >= 2, "the search finds nothing anywhere");
}

#[test]
fn memsec_has_one_address() {
    let mut uses = 0;
    for file in files() {
        let found = file.lines_with(&["memsec"]);
        uses += found.len();
        let allowed = file.path.starts_with(SECMEM);
        assert!(allowed || found.is_empty(), "{}: {found:?}", file.path);
    }
    assert!(uses > 0, "the search finds nothing anywhere");
}

/// Secrets come from files and from standard input: what is in the environment is seen by
/// every process of the user, and is handed on.
#[test]
fn nothing_is_taken_from_the_environment() {
    for file in files() {
        let found = file.lines_with(&["var", "var_os", "vars", "vars_os", "set_var"]);
        assert!(found.is_empty(), "{}: {found:?}", file.path);
        // An attribute of clap's, which has to be switched on besides.
        let arguments = file.code.iter().filter(|line| line.contains("#[arg("));
        let read = arguments.filter(|line| source::has_word(line, "env"));
        assert_eq!(read.count(), 0, "{}", file.path);
    }
    let features = include_str!("../Cargo.toml").lines().find(|line| line.starts_with("clap = "));
    assert!(features.is_some_and(|features| !features.contains("\"env\"")), "{features:?}");
}

/// Comments count, tests do not: this is what a reviewer reads.
#[test]
fn the_enclave_stays_small_enough_to_review() {
    let enclave = files().into_iter().filter(File::in_enclave);
    let lines: usize = enclave.map(|file| file.without_tests().text.len()).sum();
    assert!(lines > 100, "the search finds no enclave");
    assert!(lines <= ENCLAVE_LINES, "src/enclave has {lines} lines, {ENCLAVE_LINES} are allowed");
}

#[test]
fn no_file_grows_too_long() {
    for file in files() {
        let lines = file.text.len();
        assert!(lines <= FILE_LINES, "{} has {lines} lines", file.path);
    }
}

/// No I/O, no logging, no suspension, nothing of the outer layers.
#[test]
fn the_enclave_is_a_closed_room() {
    let words = [
        "async",
        "await",
        "tokio",
        "tonic",
        "prost",
        "hyper",
        "reqwest",
        "vaultrs",
        "rusqlite",
        "tokio_postgres",
        "tracing",
        "log",
        "print",
        "println",
        "eprint",
        "eprintln",
        "dbg",
    ];
    let paths = ["std::fs", "std::net", "std::io", "std::process", "std::env"];
    for file in files().into_iter().filter(File::in_enclave) {
        let file = file.without_tests();
        let found = file.lines_with(&words);
        assert!(found.is_empty(), "{}: {found:?}", file.path);
        for (index, line) in file.code.iter().enumerate() {
            let path = paths.iter().find(|path| line.contains(**path));
            assert_eq!(path, None, "{}:{}", file.path, index + 1);
        }
        // `use std::{fs, …}` over one or several lines.
        let squeezed: String = file.code.concat().split_whitespace().collect();
        for import in squeezed.split("usestd::{").skip(1) {
            let imported = import.split(';').next().unwrap_or_default();
            for word in ["fs", "net", "io", "process", "env"] {
                assert!(!source::has_word(imported, word), "{} uses std::{word}", file.path);
            }
        }
    }
}
