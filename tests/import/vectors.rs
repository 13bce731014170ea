//! The statements of `tests/vectors/import.json`, and the generator of that file. What is
//! sealed in it is opened in `src/enclave/import/tests.rs`.

use countersign::{
    audit::note::Name,
    import::{Statement, StatementError},
};
use serde::Deserialize;

use crate::support::python;

#[derive(Deserialize)]
struct Vectors {
    statements: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    trust: String,
    now: String,
    note: String,
    refused: Option<String>,
    environment: Option<String>,
    key: Option<String>,
    until: Option<String>,
}

#[test]
fn the_vectors_are_what_their_generator_writes() {
    python::run("vectors/generate_import.py", &["--check"]);
}

#[test]
fn statements_are_believed_and_refused_as_the_vectors_say() {
    let text = include_str!("../vectors/import.json");
    let vectors: Vectors = serde_json::from_str(text).unwrap();
    assert!(vectors.statements.len() >= 30);
    for vector in vectors.statements {
        let name = &vector.name;
        let Ok(trusted) = Name::parse(&vector.trust) else {
            assert_eq!(vector.refused.as_deref(), Some("trust"), "{name}");
            continue;
        };
        let now = humantime::parse_rfc3339(&vector.now).unwrap();
        let refused = match Statement::open(&vector.note, &trusted, now) {
            Ok(Statement { environment, key, until }) => {
                assert_eq!(Some(environment.to_string()), vector.environment, "{name}");
                assert_eq!(Some(hex::encode(key)), vector.key, "{name}");
                let until = humantime::format_rfc3339_seconds(until).to_string();
                assert_eq!(Some(until), vector.until, "{name}");
                None
            }
            Err(StatementError::Note(_)) => Some("note"),
            Err(StatementError::Form) => Some("form"),
            Err(StatementError::Expired(_)) => Some("expired"),
        };
        assert_eq!(refused, vector.refused.as_deref(), "{name}");
    }
}
