//! The table in docs/errors.md is the code's: every reason, its gRPC code and
//! whether RetryInfo is given.

use std::collections::HashMap;

use countersign::{
    grpc::status::{code_name, told},
    refusal::Reason,
};

const DOCUMENT: &str = include_str!("../docs/errors.md");

/// A row whose first column is a reason; the others are for people.
#[derive(Debug, PartialEq, Eq)]
struct Row<'a> {
    code: &'a str,
    retry: &'a str,
}

#[test]
fn every_reason_is_in_the_table_as_it_is_told() {
    let mut rows = HashMap::new();
    for (reason, row) in DOCUMENT.lines().filter_map(row) {
        let earlier = rows.insert(reason, row);
        assert_eq!(earlier, None, "{reason} stands in the table twice");
    }
    for reason in Reason::ALL {
        let told = told(reason);
        let expected = Row {
            code: code_name(told.code),
            retry: if told.retry.is_some() { "yes" } else { "no" },
        };
        let row = rows.remove(reason.as_str());
        assert_eq!(row, Some(expected), "{}", reason.as_str());
    }
    assert!(rows.is_empty(), "not in the code: {:?}", rows.keys());
}

/// The names of reasons are unique and spelled as google.rpc.ErrorInfo asks.
#[test]
fn reasons_are_unique_and_spelled_as_error_info_asks() {
    let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    for name in &names {
        let letters = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        assert!(name.len() <= 63 && name.chars().all(letters), "{name}");
        assert!(name.starts_with(|c: char| c.is_ascii_uppercase()), "{name}");
        assert!(!name.ends_with('_'), "{name}");
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Reason::ALL.len());
}

/// `` | `REASON` | CODE | yes | … | ``, with all its six columns.
fn row(line: &str) -> Option<(&str, Row<'_>)> {
    let columns: Vec<_> = line.split('|').map(str::trim).collect();
    let ["", reason, code, retry, rest @ .., ""] = &*columns else {
        return None;
    };
    let reason = reason.strip_prefix('`')?.strip_suffix('`')?;
    if reason.contains(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    assert_eq!(rest.len(), 3, "{reason}: meaning, application, operator");
    assert!(rest.iter().all(|text| !text.is_empty()), "{reason}");
    Some((reason, Row { code, retry }))
}
