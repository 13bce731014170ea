//! Account addresses: what a chain calls the holder of a public key.

use std::{fmt, str::FromStr};

use alloy_primitives::Address;
use k256::elliptic_curve::sec1::ToSec1Point;

use super::{Algorithm, Malformed, PublicKey};

/// The account address that a record is bound to: 1 to 128 printable ASCII
/// characters without spaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountAddress(Box<str>);

impl AccountAddress {
    /// The address that the chains of this algorithm give to a public key:
    /// EIP-55 for ECDSA secp256k1, base58 of the key (Solana) for Ed25519, none
    /// for the others, whose addresses depend on a network.
    pub fn of(key: &PublicKey) -> Option<Self> {
        match key.algorithm() {
            _ if !key.is_known() => None,
            Algorithm::Ed25519 => Some(Self(bs58::encode(key.as_bytes()).into_string().into())),
            Algorithm::EcdsaSecp256k1 => {
                let point = k256::PublicKey::from_sec1_bytes(key.as_bytes()).ok()?;
                eip55(&point)
            }
            Algorithm::EcdsaP256 | Algorithm::SchnorrSecp256k1 => None,
        }
    }

    /// Whether it is written as [`AccountAddress::of`] writes addresses of this algorithm.
    ///
    /// # Errors
    /// It is not, or the algorithm has none.
    pub fn require_canonical(&self, algorithm: Algorithm) -> Result<(), Malformed> {
        let text = self.as_str();
        match algorithm {
            Algorithm::EcdsaSecp256k1 if Address::parse_checksummed(text, None).is_err() => {
                Err(Malformed("is an address as EIP-55 writes it, 0x and 40 digits"))
            }
            Algorithm::Ed25519 if !is_base58_of_32_bytes(text) => {
                Err(Malformed("is an address in base58, 32 bytes"))
            }
            Algorithm::EcdsaSecp256k1 | Algorithm::Ed25519 => Ok(()),
            Algorithm::EcdsaP256 | Algorithm::SchnorrSecp256k1 => {
                Err(Malformed("is left out: keys of this algorithm have no account address"))
            }
        }
    }

    /// The address as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountAddress {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if !(1..=128).contains(&text.len()) || !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(Malformed(
                "an account address is 1 to 128 printable ASCII characters without spaces",
            ));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for AccountAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_base58_of_32_bytes(text: &str) -> bool {
    bs58::decode(text).into_vec().is_ok_and(|bytes| bytes.len() == 32)
}

/// The last 20 bytes of Keccak-256 over the uncompressed point (Ethereum yellow
/// paper, appendix F) with the mixed-case checksum of EIP-55.
fn eip55(point: &k256::PublicKey) -> Option<AccountAddress> {
    let uncompressed = point.to_sec1_point(false);
    let coordinates = uncompressed.as_bytes().get(1..).filter(|bytes| bytes.len() == 64)?;
    let address = Address::from_raw_public_key(coordinates);
    Some(AccountAddress(address.to_checksum(None).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The account of private key 0x…01, as every Ethereum client prints it.
    #[test]
    fn private_key_one_has_its_well_known_address() {
        let generator = k256::SecretKey::from_slice(&{
            let mut one = [0; 32];
            one[31] = 1;
            one
        })
        .unwrap();
        let point = generator.public_key().to_sec1_point(true);
        let key = PublicKey::parse(Algorithm::EcdsaSecp256k1, point.as_bytes()).unwrap();
        assert_eq!(
            AccountAddress::of(&key).unwrap().as_str(),
            "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"
        );
    }

    #[test]
    fn solana_addresses_are_base58_of_the_key() {
        // The base point of edwards25519 (RFC 8032 §5.1), a valid key.
        let mut base = [0x66; 32];
        base[0] = 0x58;
        let key = PublicKey::parse(Algorithm::Ed25519, &base).unwrap();
        let address = AccountAddress::of(&key).unwrap();
        assert_eq!(bs58::decode(address.as_str()).into_vec().unwrap(), base);
    }
}
