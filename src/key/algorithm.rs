//! The closed list of signature algorithms and the public keys that go with
//! them.

use std::{fmt, str::FromStr};

use super::Malformed;

/// A signature algorithm. The number is the one in the envelope and in the
/// contract; it is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519, pure (RFC 8032 §5.1).
    Ed25519 = 1,
    /// ECDSA over secp256k1, RFC 6979 nonces, low-s, recovery id.
    EcdsaSecp256k1 = 2,
    /// ECDSA over P-256 (FIPS 186-5), RFC 6979 nonces.
    EcdsaP256 = 3,
    /// Schnorr over secp256k1 (BIP-340), x-only keys.
    SchnorrSecp256k1 = 4,
}

/// A public key that is a valid point of its algorithm's curve, in the one
/// encoding that the contract gives: 32 bytes for Ed25519 (RFC 8032 §5.1.2) and
/// BIP-340 (x-only), 33 bytes (SEC 1 compressed) for ECDSA. That of an opaque share may be
/// unknown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    bytes: [u8; 33],
}

// No padding: sections write one to ordinary memory.
const _: () = assert!(size_of::<PublicKey>() == 34);

/// The bytes are no public key of this algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a public key of {0}: wrong length, encoding or point")]
pub struct PublicKeyError(pub Algorithm);

// === impl Algorithm ===

impl Algorithm {
    /// Every algorithm, in the order of their numbers.
    pub const ALL: [Self; 4] =
        [Self::Ed25519, Self::EcdsaSecp256k1, Self::EcdsaP256, Self::SchnorrSecp256k1];

    /// The number in envelope and contract.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The name in policies, stores, logs and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaSecp256k1 => "ecdsa-secp256k1",
            Self::EcdsaP256 => "ecdsa-p256",
            Self::SchnorrSecp256k1 => "schnorr-secp256k1",
        }
    }

    /// Bytes of a public key.
    pub fn public_key_len(self) -> usize {
        match self {
            Self::Ed25519 | Self::SchnorrSecp256k1 => 32,
            Self::EcdsaSecp256k1 | Self::EcdsaP256 => 33,
        }
    }

    /// Whether signatures are ECDSA pairs (r, s), which alone have a DER form.
    pub fn is_ecdsa(self) -> bool {
        matches!(self, Self::EcdsaSecp256k1 | Self::EcdsaP256)
    }
}

impl TryFrom<u8> for Algorithm {
    type Error = Malformed;

    fn try_from(number: u8) -> Result<Self, Malformed> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.number() == number)
            .ok_or(Malformed("not the number of an algorithm"))
    }
}

impl FromStr for Algorithm {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text).ok_or(Malformed(
            "an algorithm is ed25519, ecdsa-secp256k1, ecdsa-p256 or schnorr-secp256k1",
        ))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl PublicKey ===

impl PublicKey {
    /// Parses the contract's encoding of a public key.
    ///
    /// # Errors
    /// The length is wrong, or the bytes are not the canonical encoding of a
    /// point that the algorithm accepts. For Ed25519, y at or above the field's
    /// prime and points of small order are refused: one key has one encoding.
    pub fn parse(algorithm: Algorithm, encoded: &[u8]) -> Result<Self, PublicKeyError> {
        let error = PublicKeyError(algorithm);
        let valid = match algorithm {
            Algorithm::Ed25519 => encoded.try_into().is_ok_and(|bytes: &[u8; 32]| {
                is_below_the_prime(bytes)
                    && ed25519_dalek::VerifyingKey::from_bytes(bytes)
                        .is_ok_and(|key| !key.is_weak())
            }),
            Algorithm::EcdsaSecp256k1 => {
                encoded.len() == 33 && k256::PublicKey::from_sec1_bytes(encoded).is_ok()
            }
            Algorithm::EcdsaP256 => {
                encoded.len() == 33 && p256::PublicKey::from_sec1_bytes(encoded).is_ok()
            }
            Algorithm::SchnorrSecp256k1 => {
                encoded.len() == 32 && k256::schnorr::VerifyingKey::from_slice(encoded).is_ok()
            }
        };
        if !valid {
            return Err(error);
        }
        Ok(Self::of_point(algorithm, encoded))
    }

    /// The encoding of a point that is known to be valid: it was parsed before,
    /// or derived from a share.
    pub(crate) fn of_point(algorithm: Algorithm, encoded: &[u8]) -> Self {
        let mut bytes = [0; 33];
        bytes.iter_mut().zip(encoded).for_each(|(byte, encoded)| *byte = *encoded);
        Self { algorithm, bytes }
    }

    /// One that nobody knows: of an opaque share, from which none can be derived.
    pub fn unknown(algorithm: Algorithm) -> Self {
        Self::of_point(algorithm, &[])
    }

    /// Whether it is known.
    pub fn is_known(&self) -> bool {
        // No point of any curve is encoded so.
        self.bytes != [0; 33]
    }

    /// The algorithm that the key belongs to.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The encoding, 32 or 33 bytes; none where it is not known.
    pub fn as_bytes(&self) -> &[u8] {
        let length = if self.is_known() { self.algorithm.public_key_len() } else { 0 };
        self.bytes.get(..length).unwrap_or_default()
    }
}

/// Whether the y of an encoded Ed25519 point is below 2²⁵⁵ − 19 (RFC 8032 §5.1.3,
/// step 1), which the library does not ask. The other encoding that a point could
/// have twice, x = 0 with a sign, is of small order and refused as weak.
fn is_below_the_prime(encoded: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = encoded;
    *low < 0xed || high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, hex::encode(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// y = p + 3, which curve25519-dalek reads as y = 3 (RFC 8032 §5.1.3 forbids it).
    #[test]
    fn an_ed25519_key_has_one_encoding() {
        let mut encoded = [0xff; 32];
        encoded[0] = 0xf0;
        encoded[31] = 0x7f;
        for sign in [0x7f, 0xff] {
            encoded[31] = sign;
            assert!(ed25519_dalek::VerifyingKey::from_bytes(&encoded).is_ok());
            assert!(PublicKey::parse(Algorithm::Ed25519, &encoded).is_err());
        }
        // Whatever is accepted is what its point encodes to.
        for byte in 0..=255 {
            for sign in [0x7f, 0xff, 0x00, 0x80] {
                (encoded[0], encoded[31]) = (byte, sign);
                if PublicKey::parse(Algorithm::Ed25519, &encoded).is_ok() {
                    let key = ed25519_dalek::VerifyingKey::from_bytes(&encoded).unwrap();
                    assert_eq!(key.to_edwards().compress().to_bytes(), encoded);
                }
            }
        }
    }
}
