//! The source tree as it is published: no key is in it, but for those that are published
//! anyway. Whoever has one of his own beside the sources finds it named here, or in
//! `.gitignore`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Files in which a key is found that opens nothing, and why it is there.
const PUBLISHED: &[(&str, &str)] = &[
    ("tests/import/examples.rs", "RFC 8410's example, which the examples of clients import"),
    ("examples/residue/form.rs", "no token, but the length of one"),
];

/// What is no source, for who has no git that could say so.
const NOT_OURS: &[&str] = &[".git", "target", "node_modules"];

/// What a file is that is a key by its name alone.
const NAMES: &[&str] = &["kek", "id_rsa", "id_ecdsa", "id_ed25519", "identity.json", ".env"];
const EXTENSIONS: &[&str] = &["pem", "key", "kek", "der", "p8", "p12", "pfx", "jks", "keystore"];

#[test]
fn no_key_is_in_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = files(root);
    assert!(files.contains(Path::new("src/lib.rs")), "the search finds no source");
    let mut found = BTreeSet::new();
    for path in &files {
        // One that is deleted and not committed yet.
        let Ok(bytes) = fs::read(root.join(path)) else { continue };
        let published = PUBLISHED.iter().find(|(published, _)| Path::new(published) == path);
        match (key_in(path, &bytes), published) {
            (Some(what), None) => panic!("{}: {what}", path.display()),
            (Some(_), Some((published, _))) => drop(found.insert(*published)),
            (None, _) => {}
        }
    }
    let listed: BTreeSet<_> = PUBLISHED.iter().map(|(path, _)| *path).collect();
    assert_eq!(found, listed, "published, but no key is in it any more");
}

/// What is in version control or would be by `git add`; without git, all that there is.
fn files(root: &Path) -> BTreeSet<PathBuf> {
    // Not a repository around this one.
    if root.join(".git").exists() {
        let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let listed = Command::new("git").arg("-C").arg(root).args(list).output();
        if let Ok(listed) = listed.as_ref()
            && listed.status.success()
        {
            let paths = listed.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
            return paths.map(|path| str::from_utf8(path).unwrap().into()).collect();
        }
    }
    let (mut files, mut directories) = (BTreeSet::new(), vec![root.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let ours = NOT_OURS.iter().all(|name| entry.file_name() != *name);
            match entry.file_type().unwrap() {
                kind if kind.is_dir() && ours => directories.push(entry.path()),
                kind if kind.is_file() => {
                    files.insert(entry.path().strip_prefix(root).unwrap().to_owned());
                }
                _ => {}
            }
        }
    }
    files
}

/// What kind of key a file is or holds; none where it looks like none.
fn key_in(path: &Path, bytes: &[u8]) -> Option<&'static str> {
    let is = |names: &[&str], part: Option<&std::ffi::OsStr>| {
        part.and_then(|part| part.to_str()).is_some_and(|part| names.contains(&part))
    };
    if is(NAMES, path.file_name()) || is(EXTENSIONS, path.extension()) {
        return Some("the name of a key");
    }
    let Ok(text) = str::from_utf8(bytes) else {
        // `src/kms/local.rs`: 32 bytes per version, which are no text.
        let kek = (32..=256).contains(&bytes.len()) && bytes.len().is_multiple_of(32);
        return kek.then_some("a KEK in a file");
    };
    let line = text.trim();
    let hexadecimal = line.len() == 64 && line.chars().all(|c| c.is_ascii_hexdigit());
    let base64 = line.len() == 44 && line.ends_with('=') && line[..43].chars().all(is_base64);
    if hexadecimal || base64 {
        return Some("32 bytes and nothing else");
    }
    // Also in a literal, where its lines end with `\n\`.
    let private = text.split("-----BEGIN ").skip(1).any(|rest| {
        let Some((kind, rest)) = rest.split_once("-----") else { return false };
        let space = |c: char| c.is_whitespace() || matches!(c, '\\' | '"' | '\'');
        let body = rest.trim_start_matches("\\n").trim_start_matches(space);
        kind.ends_with("PRIVATE KEY") && body.chars().take_while(|c| is_base64(*c)).count() >= 40
    });
    if private {
        return Some("a private key");
    }
    let token = ["hvs.", "hvb.", "hvr."].iter().any(|prefix| {
        let mut rests = text.split(prefix).skip(1);
        let long = |rest: &str| rest.chars().take_while(|c| is_token(*c)).count() >= 24;
        rests.any(long)
    });
    token.then_some("a token of Vault")
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/')
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

#[test]
fn keys_are_told_from_what_is_none() {
    let key = |path: &str, bytes: &[u8]| key_in(Path::new(path), bytes);
    let body = "A".repeat(64);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let named = pem.replace("PRIVATE", "EC PRIVATE");
    let literal = format!("const KEY: &str = {pem:?};");
    for text in [&pem, &named, &literal] {
        assert_eq!(key("notes.txt", text.as_bytes()), Some("a private key"));
    }
    let public = pem.replace("PRIVATE", "PUBLIC");
    assert_eq!(key("notes.txt", public.as_bytes()), None);
    assert_eq!(key("notes.txt", b"-----BEGIN PRIVATE KEY----- begins one"), None);
    for versions in 1..=8 {
        assert_eq!(key("production", &vec![0xd7; 32 * versions]), Some("a KEK in a file"));
    }
    assert_eq!(key("image", &[0xd7; 33]), None);
    for text in ["d7".repeat(32), format!("{}=\n", "a".repeat(43))] {
        assert_eq!(key("seed", text.as_bytes()), Some("32 bytes and nothing else"));
    }
    assert_eq!(key("digests", format!("{0}\n{0}", "d7".repeat(32)).as_bytes()), None);
    let token = format!("token = \"hvs.{}\"", "CAES".repeat(6));
    assert_eq!(key("config.toml", token.as_bytes()), Some("a token of Vault"));
    assert_eq!(key("config.toml", b"token = \"hvs.example\""), None);
    for name in ["tls/server.pem", "server.key", "deploy/kek", ".env", "audit/identity.json"] {
        assert_eq!(key(name, b""), Some("the name of a key"));
    }
    assert_eq!(key("src/key.rs", b"pub mod key;"), None);
}

/// One of a developer's own stays out: `.gitignore` names what the documents have him make.
#[test]
fn a_local_kek_is_not_added() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap();
    for pattern in ["kek", "*.kek", "*.pem", "*.key"] {
        assert!(ignored.lines().any(|line| line == pattern), "{pattern}");
    }
}
