//! Ethereum's keystore, version 3: the Web3 Secret Storage Definition
//! (<https://ethereum.org/developers/docs/data-structures-and-encoding/web3-secret-storage/>).
//! The password never comes near the enclave.

use aes::Aes128;
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};
use scrypt::{Params, scrypt};
use serde::Deserialize;
use sha2::Sha256;
use sha3::{Digest, Keccak256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::Plaintext;

/// The most memory that scrypt may take here, 128 · n · r bytes: twice what geth's
/// standard takes.
const MEMORY_MAX: u64 = 512 * 1024 * 1024;
/// The most passes over that memory.
const PASSES_MAX: u32 = 16;
/// The most rounds of PBKDF2: some ten times what is usual.
const ROUNDS_MAX: u32 = 10_000_000;

#[derive(Deserialize)]
struct Keystore {
    version: u32,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
}

#[derive(Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    kdf: String,
    kdfparams: KdfParams,
    mac: String,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: String,
}

/// Of both functions; which must be there depends.
#[derive(Deserialize)]
struct KdfParams {
    dklen: usize,
    salt: String,
    n: Option<u64>,
    r: Option<u32>,
    p: Option<u32>,
    c: Option<u32>,
    prf: Option<String>,
}

pub(super) fn parse(bytes: &[u8], password: &[u8]) -> Result<Plaintext, &'static str> {
    let Keystore { version, crypto } =
        serde_json::from_slice(bytes).map_err(|_| "this is no keystore")?;
    if version != 3 || crypto.cipher != "aes-128-ctr" {
        return Err("this is no keystore of version 3 with aes-128-ctr");
    }
    let bytes = |text: &str| hex::decode(text).map_err(|_| "a field is no hexadecimal");
    let key = derive(&crypto, password)?;
    let (encryption, authentication) = key.split_at(16);
    let mut secret = Zeroizing::new(bytes(&crypto.ciphertext)?);
    let mac = Keccak256::new().chain_update(authentication).chain_update(&*secret).finalize();
    if !bool::from(mac.as_slice().ct_eq(&bytes(&crypto.mac)?)) {
        return Err("the password is wrong, or the keystore was altered");
    }
    let iv = bytes(&crypto.cipherparams.iv)?;
    let cipher = Ctr128BE::<Aes128>::new_from_slices(encryption, &iv);
    cipher.map_err(|_| "an iv has 16 bytes")?.apply_keystream(&mut secret);
    Ok(secret)
}

fn derive(crypto: &Crypto, password: &[u8]) -> Result<Zeroizing<[u8; 32]>, &'static str> {
    let KdfParams { dklen, salt, n, r, p, c, prf } = &crypto.kdfparams;
    let salt = hex::decode(salt).map_err(|_| "a field is no hexadecimal")?;
    if *dklen != 32 {
        return Err("dklen must be 32");
    }
    let mut key = Zeroizing::new([0; 32]);
    match (&*crypto.kdf, n, r, p, c) {
        ("scrypt", Some(n), Some(r), Some(p), _) => {
            let memory = n.checked_mul(128).and_then(|bytes| bytes.checked_mul(u64::from(*r)));
            if memory.is_none_or(|memory| memory > MEMORY_MAX) || *p > PASSES_MAX {
                return Err("scrypt would take more than 512 MiB or 16 passes");
            }
            let exponent = u8::try_from(n.trailing_zeros()).unwrap_or_default();
            let params =
                (*n > 1 && n.is_power_of_two()).then(|| Params::new(exponent, *r, *p).ok());
            let params = params.flatten().ok_or("scrypt has no such parameters")?;
            scrypt(password, &salt, &params, &mut *key).map_err(|_| "scrypt failed")?;
        }
        ("pbkdf2", _, _, _, Some(c)) if prf.as_deref() == Some("hmac-sha256") => {
            if !(1..=ROUNDS_MAX).contains(c) {
                return Err("pbkdf2 would take more than ten million rounds, or none");
            }
            pbkdf2::pbkdf2_hmac::<Sha256>(password, &salt, *c, &mut *key);
        }
        _ => return Err("the key is derived by neither scrypt nor pbkdf2 with hmac-sha256"),
    }
    Ok(key)
}
