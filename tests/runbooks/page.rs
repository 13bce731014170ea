//! A runbook's page: the commands of its `console` blocks, and what each prints.
//!
//! ```console
//! $ a command, which may
//! > go on
//! what it prints; … is any text, and a line of it any lines
//! [1]
//! ```
//! The last line is the exit status, where that is not 0.

use std::{fs, path::Path};

/// A command and what comes of it.
pub struct Step {
    /// Where it stands in the file, from 1.
    pub line: usize,
    /// What to give to a shell.
    pub command: String,
    /// What it prints.
    pub prints: String,
    /// How it exits.
    pub status: i32,
}

/// The steps of a page, in their order.
pub fn steps(page: &Path) -> Vec<Step> {
    let text = fs::read_to_string(page).unwrap();
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (line, text) in (1..).zip(text.lines()) {
        if text.starts_with("```") {
            inside = !inside && text == "```console";
            continue;
        }
        if !inside {
            continue;
        }
        let step = steps.last_mut();
        if let Some(command) = text.strip_prefix("$ ") {
            let (command, prints) = (command.to_owned(), String::new());
            steps.push(Step { line, command, prints, status: 0 });
        } else if let Some(more) = text.strip_prefix("> ") {
            let step = step.expect("a command goes on that did not begin");
            step.command.push('\n');
            step.command.push_str(more);
        } else {
            let step = step.expect("something is printed before any command");
            let status = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
            match status.and_then(|status| status.parse().ok()) {
                Some(status) => step.status = status,
                None => {
                    step.prints.push_str(text);
                    step.prints.push('\n');
                }
            }
        }
    }
    assert!(!steps.is_empty(), "{} has no commands", page.display());
    steps
}
