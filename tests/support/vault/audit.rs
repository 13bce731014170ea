//! Vault's own audit log: what it was asked and answered.

use std::{fs, path::Path};

use serde_json::Value;

/// The answers in an audit log, oldest first.
pub struct Answers(Vec<Value>);

impl Answers {
    /// Reads the log; a line that is being written does not count yet.
    pub fn read(log: &Path) -> Self {
        let text = fs::read_to_string(log).unwrap_or_default();
        let entries = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        Self(entries.filter(|entry: &Value| entry["type"] == "response").collect())
    }

    /// The request ids of the answers on a path, refusals included.
    pub fn ids(&self, path: &str) -> Vec<String> {
        self.0
            .iter()
            .filter(|entry| entry["request"]["path"] == path)
            .map(|entry| entry["request"]["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// How many answers there are on a path.
    pub fn count(&self, path: &str) -> usize {
        self.ids(path).len()
    }
}
