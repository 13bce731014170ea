//! Account addresses: what a chain calls the holder of a public key.

use std::{fmt, str::FromStr};

use alloy_primitives::Address;
use bech32::{hrp, segwit};
use k256::elliptic_curve::sec1::ToSec1Point;

use super::{Algorithm, Malformed, PublicKey};

/// The account address that a record is bound to: 1 to 128 printable ASCII
/// characters without spaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountAddress(Box<str>);

impl AccountAddress {
    /// The address that the chains of this algorithm give to a public key:
    /// EIP-55 for ECDSA secp256k1, base58 of the key (Solana) for Ed25519, Bitcoin's
    /// taproot for Schnorr, none for P-256, which no chain has.
    pub fn of(key: &PublicKey) -> Option<Self> {
        match key.algorithm() {
            _ if !key.is_known() => None,
            Algorithm::Ed25519 => Some(Self(bs58::encode(key.as_bytes()).into_string().into())),
            Algorithm::EcdsaSecp256k1 => {
                let point = k256::PublicKey::from_sec1_bytes(key.as_bytes()).ok()?;
                eip55(&point)
            }
            Algorithm::SchnorrSecp256k1 => taproot(key),
            Algorithm::EcdsaP256 => None,
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
            Algorithm::SchnorrSecp256k1 if !is_taproot(self) => Err(Malformed(
                "is a taproot address of Bitcoin's mainnet, bc1p and lower case, whichever network \
                 the key is for",
            )),
            Algorithm::EcdsaSecp256k1 | Algorithm::Ed25519 | Algorithm::SchnorrSecp256k1 => Ok(()),
            Algorithm::EcdsaP256 => {
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

/// The output that this very key spends: BIP-341's witness version 1, with the x-only key as
/// the output key, in bech32m (BIP-350). Not BIP-86's, whose output key is tweaked: an
/// enclave signs with the share as it is, and such a signature does not spend that one.
///
/// A record has one address, in one spelling. It is mainnet's: another network's has the same
/// 32 bytes behind another prefix.
fn taproot(key: &PublicKey) -> Option<AccountAddress> {
    let address = segwit::encode_v1(hrp::BC, key.as_bytes()).ok()?;
    Some(AccountAddress(address.into()))
}

fn is_taproot(address: &AccountAddress) -> bool {
    let Ok((_, _, program)) = segwit::decode(address.as_str()) else { return false };
    let key = PublicKey::parse(Algorithm::SchnorrSecp256k1, &program);
    key.is_ok_and(|key| taproot(&key).as_ref() == Some(address))
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

    /// `tests/vectors/payloads/bip341.csv`; the README beside it has the sources.
    #[test]
    fn taproot_addresses_are_those_of_bip_341() {
        let mut count = 0;
        for line in include_str!("../../tests/vectors/payloads/bip341.csv").lines().skip(1) {
            let [key, address, ..] = line.split(',').collect::<Vec<_>>()[..] else { panic!() };
            let key = hex::decode(key).unwrap();
            let key = PublicKey::parse(Algorithm::SchnorrSecp256k1, &key).unwrap();
            assert_eq!(AccountAddress::of(&key).unwrap().as_str(), address);
            count += 1;
        }
        assert_eq!(count, 8);
    }

    /// One spelling of one network; of BIP-350's invalid addresses those that could be taken
    /// for one.
    #[test]
    fn a_declared_taproot_address_is_mainnets_in_lower_case() {
        let require = |text: &str| {
            let address: AccountAddress = text.parse().unwrap();
            address.require_canonical(Algorithm::SchnorrSecp256k1)
        };
        let good = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0";
        assert_eq!(require(good), Ok(()));
        for bad in [
            &*good.to_uppercase(),
            &good.replace("zk5jj0", "zk5jj1"),
            // Another network.
            "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
            // 40 bytes; version 2; version 16.
            "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
            "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs",
            "bc1sw50qgdz25j",
            // A key's hash.
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            // Another prefix; Bech32's checksum; no address.
            "tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
            "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
            "bc1pw5dgrnzv",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf",
            "bc1gmk9yu",
            "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf",
        ] {
            require(bad).unwrap_err();
        }
        // 32 bytes that are no point: whatever is sent there is lost.
        let nobody = segwit::encode_v1(hrp::BC, &[0xff; 32]).unwrap();
        require(&nobody).unwrap_err();
    }
}
