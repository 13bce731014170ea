//! What policies see, one attribute to a line, under the names that policies use.

use std::io::{self, Write};

use serde_json::Value;

/// Where typed data has tags in place of attributes.
const FIELDS: &str = "context.typed_data.fields";

/// Writes the attributes of a record.
pub(super) fn write(out: &mut impl Write, name: &str, value: &Value) -> io::Result<()> {
    let mut lines = Vec::new();
    flatten(name.to_owned(), value, &mut lines);
    write_lines(out, "", &lines)
}

/// Writes names and values, in two columns.
pub(super) fn write_lines(
    out: &mut impl Write,
    indent: &str,
    lines: &[(String, String)],
) -> io::Result<()> {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    lines.iter().try_for_each(|(name, value)| writeln!(out, "{indent}{name:width$}  {value}"))
}

fn flatten(name: String, value: &Value, lines: &mut Vec<(String, String)>) {
    let Value::Object(members) = value else {
        lines.push((name, value.to_string()));
        return;
    };
    for (member, value) in members {
        let name = match name.as_str() {
            FIELDS => format!("{name}.getTag({member:?})"),
            _ => format!("{name}.{member}"),
        };
        flatten(name, value, lines);
    }
}
