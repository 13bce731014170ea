//! The forms that a secret can take in memory.
//!
//! # What counts as found
//! Any window of a form: eight bytes of it in a row, at any place and alignment.
//! A writing with few bits per byte needs a longer window before it cannot be
//! chance: a window has at least 48 bits of the secret, which is twelve
//! characters of hexadecimal, twelve digits, and eight of everything else. So has a
//! needle that is itself written in few characters, as a token in hexadecimal is:
//! ids and hashes in the same writing are all over a process. For a
//! scan of 64 MiB and 2,000 windows that makes less than one false find in 2,000
//! scans if all of the memory were base64 with equally likely characters, and
//! less than one in a hundred million for the forms in whole bytes. A window with
//! fewer than four distinct bytes, or one that lies in a `public` line, is not
//! searched for at all.

use std::collections::BTreeSet;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use super::{
    needle::{Curve, Kind, Needle},
    scalar::{self, Scalar},
    schedule,
};

/// One form of a needle.
pub struct Form {
    /// What the report calls it.
    pub name: String,
    /// The whole.
    pub bytes: Vec<u8>,
    /// How many bytes in a row count as found.
    pub window: usize,
}

/// Bytes of a window with eight, six and four bits of the secret in each.
const BYTES: usize = 8;
const BASE64: usize = 8;
const DIGITS: usize = 12;

/// Every form in which a needle is searched for.
pub fn forms(needle: &Needle) -> Vec<Form> {
    let bytes = &needle.bytes;
    let mut forms = Forms(Vec::new());
    match (needle.kind, <&[u8; 32]>::try_from(bytes.as_slice())) {
        (Kind::Public, _) => return forms.0,
        (Kind::Share(curve), Ok(share)) => {
            forms.written("", share);
            match curve {
                Curve::Ed25519 => forms.seed(share),
                Curve::Secp256k1 | Curve::P256 => forms.scalar(curve, share),
            }
        }
        (Kind::Dek, Ok(dek)) => {
            forms.written("", dek);
            forms.derivation(dek);
        }
        (Kind::Aes256, Ok(key)) => {
            forms.written("", key);
            forms.schedule("", key);
        }
        _ => forms.written("", bytes),
    }
    forms.0
}

struct Forms(Vec<Form>);

impl Forms {
    fn put(&mut self, name: String, bytes: Vec<u8>, window: usize) {
        // A value that equals another form, as a positive scalar's own clamping
        // may, is searched for once.
        if self.0.iter().all(|form| form.bytes != bytes) {
            self.0.push(Form { name, bytes, window });
        }
    }

    /// As a machine holds them: in order, as one number, and as the words of a
    /// hash's message.
    fn native(&mut self, of: &str, bytes: &[u8]) {
        let window = if is_in_few_characters(bytes) { DIGITS } else { BYTES };
        self.put(named(of, "raw"), bytes.to_vec(), window);
        // Four limbs of 64 bits or eight of 32, least first, are the same bytes.
        let reversed = bytes.iter().rev().copied().collect();
        self.put(named(of, "reversed, 4x64 and 8x32 limbs"), reversed, window);
        for (word, name) in [(4, "words of 32, swapped"), (8, "words of 64, swapped")] {
            let words = bytes.chunks(word).flat_map(|word| word.iter().rev());
            self.put(named(of, name), words.copied().collect(), window);
        }
    }

    /// Native, and as text.
    fn written(&mut self, of: &str, bytes: &[u8]) {
        self.native(of, bytes);
        let hex = hex::encode(bytes);
        self.put(named(of, "HEX"), hex.to_uppercase().into(), DIGITS);
        self.put(named(of, "hex"), hex.into(), DIGITS);
        for shift in 0..3 {
            for (name, engine) in [("base64", STANDARD_NO_PAD), ("base64url", URL_SAFE_NO_PAD)] {
                let name = named(of, &format!("{name} at {shift}"));
                self.put(name, base64_within(&engine, bytes, shift), BASE64);
            }
        }
    }

    /// ECDSA's and BIP-340's.
    fn scalar(&mut self, curve: Curve, share: &Scalar) {
        let other = scalar::negated(curve, share);
        self.native("negated", &other);
        for (of, scalar) in [("", share), ("negated", &other)] {
            self.put(named(of, "5x52 limbs"), scalar::limbs_52(scalar), BYTES);
            self.native(&named(of, "Montgomery"), &scalar::montgomery(curve, scalar));
        }
    }

    /// Ed25519's: the hash of the seed, and the scalar in it, little-endian.
    fn seed(&mut self, seed: &[u8; 32]) {
        let hash = schedule::expanded_seed(seed);
        let (low, prefix) = hash.split_at(32);
        self.native("SHA-512, first half", low);
        self.native("SHA-512, second half", prefix);
        let low: &[u8; 32] = low.try_into().unwrap_or(seed);
        let clamped = scalar::clamped(low);
        self.native("clamped scalar", &clamped);
        let reduced = scalar::reduced(Curve::Ed25519, &reversed(&clamped));
        self.native("reduced scalar", &reversed(&reduced));
        for (of, scalar) in [("clamped", reversed(&clamped)), ("reduced", reduced)] {
            self.put(named(of, "5x52 limbs"), scalar::limbs_52(&scalar), BYTES);
            self.put(named(of, "nibbles"), scalar::nibbles(&scalar), DIGITS);
            let digits = scalar::signed_nibbles(&scalar);
            self.put(named(of, "radix 16"), digits, DIGITS);
        }
    }

    /// What HKDF makes of a DEK on the way to the key that decrypts.
    fn derivation(&mut self, dek: &[u8; 32]) {
        let pseudorandom = schedule::pseudorandom_key(dek);
        self.native("HKDF's PRK", &pseudorandom);
        for (block, name) in schedule::hmac_blocks(&pseudorandom).iter().zip(["inner", "outer"]) {
            self.native(&format!("PRK's {name} HMAC block"), block);
        }
        self.schedule("as AES key", dek);
        let key = schedule::encryption_key(dek);
        self.written("derived key", &key);
        self.schedule("derived key", &key);
    }

    /// AES-NI's round keys. The fixsliced ones of the portable implementation are
    /// not searched for: it is not what runs where the instructions are.
    fn schedule(&mut self, of: &str, key: &[u8; 32]) {
        self.put(named(of, "round keys"), schedule::round_keys(key), BYTES);
        let inverse = schedule::inverse_round_keys(key);
        self.put(named(of, "inverse round keys"), inverse, BYTES);
    }
}

fn named(of: &str, name: &str) -> String {
    if of.is_empty() { name.to_owned() } else { format!("{of}, {name}") }
}

/// Whether bytes are a text with no more than some four bits in each character:
/// hexadecimal or decimal, with a prefix at most.
fn is_in_few_characters(bytes: &[u8]) -> bool {
    const FEW: usize = 20;
    let different: BTreeSet<_> = bytes.iter().collect();
    bytes.len() > FEW && different.len() <= FEW && bytes.iter().all(u8::is_ascii_graphic)
}

fn reversed(bytes: &[u8; 32]) -> [u8; 32] {
    let mut reversed = *bytes;
    reversed.reverse();
    reversed
}

/// The characters that depend on these bytes alone, with `shift` unknown bytes
/// before them and unknown ones after.
fn base64_within(engine: &impl Engine, bytes: &[u8], shift: usize) -> Vec<u8> {
    let mut framed = vec![0; shift];
    framed.extend_from_slice(bytes);
    let text = engine.encode(&framed).into_bytes();
    let whole = framed.len() * 8 / 6;
    let before = (shift * 8).div_ceil(6);
    text.get(before..whole).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needle(kind: Kind) -> Needle {
        let bytes = (0..32_u8).map(|at| at.wrapping_mul(37) ^ 11).collect();
        Needle { name: "n".to_owned(), kind, bytes }
    }

    #[test]
    fn base64_is_found_at_every_alignment() {
        let needle = needle(Kind::Bytes);
        let forms = forms(&needle);
        for before in 0..6 {
            for after in 0..4 {
                let framed = [vec![0xa7; before], needle.bytes.clone(), vec![0x93; after]].concat();
                for text in [STANDARD_NO_PAD.encode(&framed), URL_SAFE_NO_PAD.encode(&framed)] {
                    let inside = |form: &&Form| {
                        form.name.starts_with("base64")
                            && text
                                .as_bytes()
                                .windows(form.bytes.len())
                                .any(|part| part == form.bytes)
                    };
                    assert!(forms.iter().find(inside).is_some(), "{before} {after}");
                }
            }
        }
    }

    /// Chance makes eight characters of hexadecimal equal in some scans out of a hundred:
    /// a process is full of them.
    #[test]
    fn a_text_in_hexadecimal_needs_a_longer_window() {
        let hex = format!("hvs.{}", hex::encode(needle(Kind::Bytes).bytes));
        let token = "hvs.CAESIJ0kUqPXw2mZb7eR5tYvN3sLhG9dAoF1KxT4iWcQ8uBy";
        let bytes = needle(Kind::Bytes).bytes;
        for (bytes, window) in [(hex.as_bytes(), 12), (token.as_bytes(), 8), (&bytes[..], 8)] {
            let (name, kind, bytes) = ("n".to_owned(), Kind::Bytes, bytes.to_vec());
            let forms = forms(&Needle { name, kind, bytes });
            let native = forms.iter().filter(|form| form.name.contains("swapped"));
            assert_eq!(native.map(|form| form.window).collect::<Vec<_>>(), [window; 2]);
        }
    }

    #[test]
    fn every_kind_has_its_forms_once() {
        for (kind, expected) in [
            (Kind::Share(Curve::Ed25519), "reduced, radix 16"),
            (Kind::Share(Curve::Secp256k1), "negated, Montgomery, reversed, 4x64 and 8x32 limbs"),
            (Kind::Share(Curve::P256), "5x52 limbs"),
            (Kind::Dek, "derived key, round keys"),
            (Kind::Aes256, "inverse round keys"),
            (Kind::Bytes, "words of 32, swapped"),
        ] {
            let forms = forms(&needle(kind));
            let names: Vec<_> = forms.iter().map(|form| form.name.as_str()).collect();
            assert!(names.contains(&expected), "{names:?}");
            for (at, name) in names.iter().enumerate() {
                assert!(!names[..at].contains(name), "{name} twice");
            }
        }
        assert_eq!(forms(&needle(Kind::Public)).len(), 0);
    }
}
