//! AES-256 keys as a cipher holds them, and the keys that HKDF derives.

use hkdf::Hkdf;
use sha2::{Digest, Sha512};

/// `src/enclave/seal.rs`, which this does not share code with.
const SALT: &[u8] = b"countersign/v1/envelope";
const ENCRYPT: &[u8] = b"countersign/v1/encrypt\x01";

/// The bytes of a hash's block.
const BLOCK: usize = 128;

/// FIPS 197 §5.2: the fifteen round keys, 240 bytes, the first 32 of them the key
/// itself. So AES-NI holds them.
pub fn round_keys(key: &[u8; 32]) -> Vec<u8> {
    let table = substitutions();
    let substitute = |word: [u8; 4]| word.map(|byte| table[usize::from(byte)]);
    let mut words: Vec<[u8; 4]> = key.as_chunks().0.to_vec();
    let mut constant = 1;
    for index in 8..60 {
        let mut word = words[index - 1];
        match index % 8 {
            0 => {
                word.rotate_left(1);
                word = substitute(word);
                word[0] ^= constant;
                constant = times_two(constant);
            }
            4 => word = substitute(word),
            _ => {}
        }
        let before = words[index - 8];
        words.push(std::array::from_fn(|at| before[at] ^ word[at]));
    }
    words.concat()
}

/// FIPS 197 §5.3.5: the round keys of the equivalent inverse cipher, which a
/// cipher that can decrypt holds besides. The first and the last are those above.
pub fn inverse_round_keys(key: &[u8; 32]) -> Vec<u8> {
    let keys = round_keys(key);
    let middle = keys.get(16..224).unwrap_or_default();
    let columns = middle.as_chunks().0.iter();
    columns.flat_map(|column| unmixed(*column)).collect()
}

/// RFC 5869 §2.2: HMAC-SHA-512 of the DEK, from which all that is used follows.
pub fn pseudorandom_key(dek: &[u8]) -> [u8; 64] {
    Hkdf::<Sha512>::extract(Some(SALT), dek).0.into()
}

/// The AES key of the envelope.
pub fn encryption_key(dek: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    Hkdf::<Sha512>::new(Some(SALT), dek)
        .expand(ENCRYPT, &mut key)
        .expect("32 bytes are no more than a block");
    key
}

/// RFC 2104: the two blocks that HMAC begins with, as good as their key.
pub fn hmac_blocks(key: &[u8; 64]) -> [Vec<u8>; 2] {
    [0x36, 0x5c].map(|pad| {
        let mut block = [pad; BLOCK];
        for (out, byte) in block.iter_mut().zip(key) {
            *out ^= byte;
        }
        // The rest is the pad alone and known to everybody.
        block[..key.len()].to_vec()
    })
}

/// FIPS 197 §5.1.1: the inverse in GF(2^8), then the affine transformation.
fn substitutions() -> [u8; 256] {
    std::array::from_fn(|byte| {
        let byte = byte as u8;
        let inverse = (0..=255).find(|other| times(byte, *other) == 1).unwrap_or(0);
        let turned = (1..=4).map(|by| inverse.rotate_left(by));
        turned.fold(inverse, |all, one| all ^ one) ^ 0x63
    })
}

fn unmixed(column: [u8; 4]) -> [u8; 4] {
    const ROW: [u8; 4] = [14, 11, 13, 9];
    std::array::from_fn(|row| {
        let products = (0..4).map(|at| times(column[at], ROW[(at + 4 - row) % 4]));
        products.fold(0, |all, one| all ^ one)
    })
}

fn times_two(byte: u8) -> u8 {
    byte << 1 ^ if byte & 0x80 == 0 { 0 } else { 0x1b }
}

fn times(one: u8, other: u8) -> u8 {
    let mut power = one;
    let mut product = 0;
    for bit in 0..8 {
        product ^= if other >> bit & 1 == 1 { power } else { 0 };
        power = times_two(power);
    }
    product
}

/// SHA-512 of a seed: RFC 8032 §5.1.5, step 1.
pub fn expanded_seed(seed: &[u8]) -> [u8; 64] {
    Sha512::digest(seed).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fips_197_a_3() -> [u8; 32] {
        let key = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
        hex::decode(key).unwrap().try_into().unwrap()
    }

    /// FIPS 197, appendix A.3: w8 to w11, and w56 to w59.
    #[test]
    fn the_schedule_of_the_standard() {
        let keys = round_keys(&fips_197_a_3());
        assert_eq!(keys.len(), 240);
        assert_eq!(keys[..32], fips_197_a_3());
        assert_eq!(hex::encode(&keys[32..48]), "9ba354118e6925afa51a8b5f2067fcde");
        assert_eq!(hex::encode(&keys[224..]), "fe4890d1e6188d0b046df344706c631e");
    }

    /// FIPS 197, appendix B, MixColumns of the first round, backwards.
    #[test]
    fn a_column_unmixed() {
        assert_eq!(unmixed([0x04, 0x66, 0x81, 0xe5]), [0xd4, 0xbf, 0x5d, 0x30]);
        assert_eq!(inverse_round_keys(&fips_197_a_3()).len(), 208);
    }

    /// RFC 8032 §7.1, test 1: SHA-512 of the seed.
    #[test]
    fn the_halves_of_the_seed() {
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let hash = hex::encode(expanded_seed(&hex::decode(seed).unwrap()));
        let low = "357c83864f2833cb427a2ef1c00a013cfdff2768d980c0a3a520f006904de90f";
        let high = "9b4f0afe280b746a778684e75442502057b7473a03f08f96f5a38e9287e01f8f";
        assert_eq!(hash, format!("{low}{high}"));
    }

    /// The published vectors hold a DEK and what it sealed.
    #[test]
    fn the_key_is_the_one_that_opens_the_published_envelope() {
        use aes_gcm::{
            Aes256Gcm, KeyInit,
            aead::{Aead, Payload},
        };

        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/envelope.json");
        let document: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let vector = &document["positive"][0];
        let field = |name: &str| hex::decode(vector[name].as_str().unwrap()).unwrap();
        let share = field("share");
        let envelope = field("envelope");
        let sealed = &envelope[envelope.len() - share.len() - 16..];
        let cipher = Aes256Gcm::new((&encryption_key(&field("dek"))).into());
        let nonce: [u8; 12] = field("nonce").try_into().unwrap();
        let payload = Payload { msg: sealed, aad: &field("aad") };
        assert_eq!(cipher.decrypt((&nonce).into(), payload).unwrap(), share);
    }
}
