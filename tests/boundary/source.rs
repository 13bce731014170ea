//! Rust source as lines, with and without comments and string literals.

use std::{fs, path::Path};

/// One file of `src`.
pub struct File {
    /// From the crate's root, with `/`.
    pub path: String,
    /// The lines as written.
    pub text: Vec<String>,
    /// The same lines; comments and the contents of literals are gone.
    pub code: Vec<String>,
}

/// Every Rust file under `src`.
pub fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut directories = vec![root.join("src")];
    let mut files = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().to_str().unwrap();
                files.push(File::new(path.to_owned(), &text));
            }
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

impl File {
    fn new(path: String, text: &str) -> Self {
        let lines = |text: &str| text.lines().map(str::to_owned).collect();
        Self { path, text: lines(text), code: lines(&code(text)) }
    }

    pub fn in_enclave(&self) -> bool {
        self.path == "src/enclave.rs" || self.path.starts_with("src/enclave/")
    }

    /// Without the test module at the end; nothing of a file of tests.
    pub fn without_tests(&self) -> Self {
        let inline = |pair: &[String]| pair[0] == "#[cfg(test)]" && pair[1].ends_with('{');
        let end = if self.path.ends_with("/tests.rs") {
            0
        } else {
            let inline = self.code.windows(2).position(inline);
            inline.unwrap_or(self.text.len())
        };
        Self {
            path: self.path.clone(),
            text: self.text[..end].to_vec(),
            code: self.code[..end].to_vec(),
        }
    }

    /// The numbers, from 1, of the lines whose code has one of these words.
    pub fn lines_with(&self, words: &[&str]) -> Vec<usize> {
        let numbered = (1..).zip(&self.code);
        numbered
            .filter(|(_, line)| words.iter().any(|word| has_word(line, word)))
            .map(|(number, _)| number)
            .collect()
    }
}

pub fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

/// Blanks comments and the contents of literals, and keeps the line breaks.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' if !out.ends_with(is_word) => raw_string(rest).unwrap_or(0),
            '\'' => character(rest),
            _ => 0,
        };
        if length == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.push(' ');
            out.extend(rest[..length].chars().filter(|c| *c == '\n'));
            rest = &rest[length..];
        }
    }
    out
}

fn is_word(c: char) -> bool {
    // `b` and `c` may stand before a raw string.
    (c.is_alphanumeric() || c == '_') && c != 'b' && c != 'c'
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let here = &text.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    let body = text[1 + hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&close).unwrap_or(body.len());
    Some(2 + hashes + end + close.len())
}

/// A character literal, and 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            // The escaped character may itself be a quote.
            chars.next();
            chars.find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

#[test]
fn comments_and_literals_are_no_code() {
    let source = [
        "unsafe { a() } // unsafe",
        "/* unsafe /* unsafe */ unsafe */ b();",
        r#"let c = "unsafe \" unsafe"; let d = b"unsafe";"#,
        r###"let e = r#"unsafe " unsafe"#; let f = br"unsafe";"###,
        "let g = '\"'; h::<'static>(); unsafe_code(); // \" unsafe",
        r"let i = '\''; let j = '\\'; unsafe { k() }",
    ];
    let file = File::new("sample".to_owned(), &source.join("\n"));
    assert_eq!(file.code.len(), source.len());
    assert_eq!(file.lines_with(&["unsafe"]), [1, 6]);
    assert_eq!(file.lines_with(&["h"]), [5]);
}
