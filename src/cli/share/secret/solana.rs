//! Solana's keypairs: seed and public key, 64 bytes, as the JSON array that
//! `solana-keygen` writes or as the base58 that wallets export.

use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use super::Plaintext;

/// The longest base58 of 64 bytes, in characters.
const BASE58_MAX: usize = 88;

pub(super) fn parse(text: &str) -> Result<Plaintext, &'static str> {
    let pair = if text.starts_with('[') { json(text)? } else { base58(text)? };
    let pair: &[u8; 64] = pair.as_slice().try_into().map_err(|_| "a keypair has 64 bytes")?;
    // The second half is the public key of the first.
    SigningKey::from_keypair_bytes(pair).map_err(|_| "the two halves do not belong together")?;
    Ok(Zeroizing::new(pair.iter().copied().take(32).collect()))
}

fn json(text: &str) -> Result<Plaintext, &'static str> {
    let pair = serde_json::from_str(text).map_err(|_| "this is no JSON array of bytes")?;
    Ok(Zeroizing::new(pair))
}

fn base58(text: &str) -> Result<Plaintext, &'static str> {
    if text.len() > BASE58_MAX {
        return Err("a keypair has 64 bytes");
    }
    let pair = bs58::decode(text).into_vec().map_err(|_| "this is neither JSON nor base58")?;
    Ok(Zeroizing::new(pair))
}
