//! Secrets that are imported, in the formats in which other programs keep them. Each is
//! read as the one format that the command line names, never as one that it might be too.
//! What is given back is what the enclave keeps: 32 bytes, or an opaque share as it is.

mod dynamic;
mod keystore;
mod solana;
#[cfg(test)]
mod tests;

use std::path::Path;

use clap::ValueEnum;
use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey};
use k256::elliptic_curve::{Curve, SecretKey};
use zeroize::Zeroizing;

use crate::{
    cli::{failure::Failure, input::read},
    key::{Algorithm, Binding, PublicKey},
};

/// The plaintext of a share, wiped when it goes.
pub(super) type Plaintext = Zeroizing<Vec<u8>>;

/// How a secret is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// 32 bytes as they are
    Raw,
    /// 64 hexadecimal digits, with 0x before them or not
    Hex,
    /// PKCS#8 or SEC 1, PEM, not encrypted
    Pem,
    /// PKCS#8 or SEC 1, DER, not encrypted
    Der,
    /// Solana's keypair: JSON of 64 numbers, or 64 bytes in base58
    Solana,
    /// Ethereum's keystore, version 3, with --password-file
    Keystore,
    /// externalServerKeyShares of Dynamic, JSON: opaque
    Dynamic,
    /// Up to 64 KiB as they are: an opaque share, one party's of a key that signs with others
    Opaque,
}

/// What is in a file.
pub(super) struct Secret {
    pub(super) plaintext: Plaintext,
    /// Whose it says that it is, of an opaque one.
    pub(super) public_key: Option<PublicKey>,
    pub(super) binding: Binding,
}

/// The longest file that is read.
const FILE_MAX: usize = 64 * 1024;

/// Reads the file of a secret, or standard input for `-`.
pub(super) fn load(
    file: &Path,
    format: Format,
    password: Option<&Path>,
    index: Option<usize>,
    algorithm: Algorithm,
) -> Result<Secret, Failure> {
    let bytes = file_of(file)?;
    let password = password.map(file_of).transpose()?;
    let password = password.as_deref().map(|password| line(password));
    let secret = match format {
        Format::Dynamic => dynamic::parse(&bytes, index, algorithm),
        _ if index.is_some() => Err("--index is for externalServerKeyShares"),
        Format::Opaque => {
            Ok(Secret { plaintext: bytes, public_key: None, binding: Binding::Declared })
        }
        _ => parse(&bytes, format, password, algorithm).map(|plaintext| Secret {
            plaintext,
            public_key: None,
            binding: Binding::Derived,
        }),
    };
    secret.map_err(|rule| Failure::at(file, &rule))
}

fn file_of(file: &Path) -> Result<Plaintext, Failure> {
    let bytes = read(file, FILE_MAX).map_err(|error| Failure::at(file, &error))?;
    let bytes = Zeroizing::new(bytes);
    if bytes.len() > FILE_MAX {
        return Err(Failure::at(file, &"longer than 64 KiB"));
    }
    Ok(bytes)
}

/// Without the line feed that editors add.
fn line(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// What is wrong is said without a byte of what was read.
fn parse(
    bytes: &[u8],
    format: Format,
    password: Option<&[u8]>,
    algorithm: Algorithm,
) -> Result<Plaintext, &'static str> {
    if password.is_some() != (format == Format::Keystore) {
        return Err("--password-file is for keystores, which need it");
    }
    let secret = match format {
        Format::Raw => Zeroizing::new(bytes.to_vec()),
        Format::Hex => {
            let digits = bytes.trim_ascii();
            let digits = digits.strip_prefix(b"0x").unwrap_or(digits);
            Zeroizing::new(hex::decode(digits).map_err(|_| "this is not hexadecimal")?)
        }
        Format::Pem => pem(text(bytes)?, algorithm)?,
        Format::Der => der(bytes, algorithm)?,
        Format::Solana if algorithm != Algorithm::Ed25519 => {
            return Err("a keypair of Solana is one of ed25519");
        }
        Format::Solana => solana::parse(text(bytes)?.trim())?,
        Format::Keystore => keystore::parse(bytes, password.unwrap_or_default())?,
        Format::Dynamic | Format::Opaque => return Err("an opaque share is no key"),
    };
    if secret.len() != 32 {
        return Err("a secret of this format has 32 bytes");
    }
    Ok(secret)
}

fn text(bytes: &[u8]) -> Result<&str, &'static str> {
    str::from_utf8(bytes).map_err(|_| "this is not text")
}

fn pem(text: &str, algorithm: Algorithm) -> Result<Plaintext, &'static str> {
    let secret = match algorithm {
        Algorithm::Ed25519 => SigningKey::from_pkcs8_pem(text).ok().map(|key| seed(&key)),
        Algorithm::EcdsaP256 => p256::SecretKey::from_pem(text).ok().map(|key| scalar(&key)),
        Algorithm::EcdsaSecp256k1 | Algorithm::SchnorrSecp256k1 => {
            k256::SecretKey::from_pem(text).ok().map(|key| scalar(&key))
        }
    };
    secret
        .ok_or("this is no PEM of a private key of the algorithm (PKCS#8 or SEC 1, not encrypted)")
}

fn der(bytes: &[u8], algorithm: Algorithm) -> Result<Plaintext, &'static str> {
    let secret = match algorithm {
        Algorithm::Ed25519 => SigningKey::from_pkcs8_der(bytes).ok().map(|key| seed(&key)),
        Algorithm::EcdsaP256 => p256::SecretKey::from_der(bytes).ok().map(|key| scalar(&key)),
        Algorithm::EcdsaSecp256k1 | Algorithm::SchnorrSecp256k1 => {
            k256::SecretKey::from_der(bytes).ok().map(|key| scalar(&key))
        }
    };
    secret
        .ok_or("this is no DER of a private key of the algorithm (PKCS#8 or SEC 1, not encrypted)")
}

fn seed(key: &SigningKey) -> Plaintext {
    Zeroizing::new(key.as_bytes().to_vec())
}

fn scalar<C: Curve>(key: &SecretKey<C>) -> Plaintext {
    Zeroizing::new(Zeroizing::new(key.to_bytes()).to_vec())
}
