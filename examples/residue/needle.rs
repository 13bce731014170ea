//! What is searched for, as it comes on standard input.

use std::fmt;

/// A secret, or bytes that are public and count for nothing.
pub struct Needle {
    /// What the report calls it.
    pub name: String,
    /// What it is, and with that the forms it can take.
    pub kind: Kind,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What a needle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A private key of 32 bytes.
    Share(Curve),
    /// The DEK of an envelope: 32 bytes, from which the AES key is derived.
    Dek,
    /// An AES-256 key that is used as it is, as the local KEK is.
    Aes256,
    /// Bytes or a text, 8 or more: a token.
    Bytes,
    /// Not searched for. A window of a needle that lies in it is no find.
    Public,
}

/// The group in which a share is a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// RFC 8032; the share is the seed.
    Ed25519,
    /// ECDSA and BIP-340; the share is the big-endian scalar.
    Secp256k1,
    /// The same on P-256.
    P256,
}

/// A line that is no needle. Says where and why, never what.
#[derive(Debug, PartialEq, Eq)]
pub struct NoNeedle {
    line: usize,
    why: &'static str,
}

impl fmt::Display for NoNeedle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, why } = self;
        write!(out, "line {line} of standard input is no needle: {why}")
    }
}

/// Reads lines of `name kind hex`; empty lines and lines that begin with `#` say
/// nothing.
///
/// # Errors
/// The first line that is neither.
pub fn parse(text: &str) -> Result<Vec<Needle>, NoNeedle> {
    let mut needles = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        if !text.trim().is_empty() && !text.starts_with('#') {
            needles.push(needle(text).map_err(|why| NoNeedle { line, why })?);
        }
    }
    Ok(needles)
}

fn needle(line: &str) -> Result<Needle, &'static str> {
    let mut words = line.split_whitespace();
    let (Some(name), Some(kind), Some(hex), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("a needle is `name kind hex`");
    };
    let kind = kind_of(kind).ok_or(
        "the kind is share:ed25519, share:ecdsa-secp256k1, share:ecdsa-p256, \
         share:schnorr-secp256k1, dek, aes256, bytes or public",
    )?;
    let bytes = hex::decode(hex).map_err(|_| "its bytes are not hexadecimal")?;
    let fits = match kind {
        Kind::Share(_) | Kind::Dek | Kind::Aes256 => bytes.len() == 32,
        Kind::Bytes => bytes.len() >= 8,
        Kind::Public => true,
    };
    if !fits {
        return Err("a share and a key have 32 bytes, other bytes are 8 or more");
    }
    Ok(Needle { name: name.to_owned(), kind, bytes })
}

fn kind_of(text: &str) -> Option<Kind> {
    Some(match text {
        "share:ed25519" => Kind::Share(Curve::Ed25519),
        "share:ecdsa-secp256k1" | "share:schnorr-secp256k1" => Kind::Share(Curve::Secp256k1),
        "share:ecdsa-p256" => Kind::Share(Curve::P256),
        "dek" => Kind::Dek,
        "aes256" => Kind::Aes256,
        "bytes" => Kind::Bytes,
        "public" => Kind::Public,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_needles() {
        let key = "0123456789abcdef".repeat(4);
        let text = format!("# a comment\n\nw1 share:schnorr-secp256k1 {key}\ntoken bytes {key}\n");
        let needles = parse(&text).unwrap();
        let kinds: Vec<_> = needles.iter().map(|needle| needle.kind).collect();
        assert_eq!(kinds, [Kind::Share(Curve::Secp256k1), Kind::Bytes]);
        assert_eq!(needles[0].name, "w1");
    }

    #[test]
    fn what_is_none_is_refused_and_not_repeated() {
        for (text, why) in [
            ("w1 dek", "a needle is"),
            ("w1 dek 5e 5e", "a needle is"),
            ("w1 share 5ec7e7", "the kind is"),
            ("w1 dek 5ec7e", "not hexadecimal"),
            ("w1 dek 5ec7e7", "have 32 bytes"),
            ("w1 bytes 5ec7e7", "8 or more"),
        ] {
            let said = parse(text).err().unwrap().to_string();
            assert!(said.contains(why) && said.contains("line 1"), "{said}");
            assert!(!said.contains("5ec7e"), "{said}");
        }
    }
}
