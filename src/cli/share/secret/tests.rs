use k256::elliptic_curve::sec1::ToSec1Point;

use super::*;

const SEED: [u8; 32] = [0x2a; 32];

fn read(text: &[u8], format: Format, algorithm: Algorithm) -> Option<Vec<u8>> {
    parse(text, format, None, algorithm).ok().map(|secret| secret.to_vec())
}

#[test]
fn bytes_and_digits() {
    let hex = hex::encode(SEED);
    for text in [hex.clone(), format!("0x{hex}\n"), hex.to_uppercase()] {
        assert_eq!(read(text.as_bytes(), Format::Hex, Algorithm::Ed25519).unwrap(), SEED);
    }
    assert_eq!(read(&SEED, Format::Raw, Algorithm::EcdsaP256).unwrap(), SEED);
    for wrong in [&hex[1..], &hex[2..], &format!("{hex}00"), "", "0x", "zz"] {
        assert_eq!(read(wrong.as_bytes(), Format::Hex, Algorithm::Ed25519), None, "{wrong}");
    }
    for length in [0, 31, 33, 64] {
        assert_eq!(read(&vec![1; length], Format::Raw, Algorithm::Ed25519), None);
    }
}

/// Nothing is taken for another format than the one that was named.
#[test]
fn no_other_format_is_tried() {
    let hex = hex::encode(SEED);
    for format in [Format::Raw, Format::Pem, Format::Der, Format::Solana] {
        assert_eq!(read(hex.as_bytes(), format, Algorithm::Ed25519), None, "{format:?}");
    }
    assert_eq!(read(&SEED, Format::Hex, Algorithm::Ed25519), None);
    let with_password = parse(hex.as_bytes(), Format::Hex, Some(b"x"), Algorithm::Ed25519);
    assert!(with_password.is_err());
    assert!(parse(b"{}", Format::Keystore, None, Algorithm::EcdsaSecp256k1).is_err());
}

/// As `solana-keygen` writes it, and as wallets export it.
#[test]
fn keypairs_of_solana() {
    let pair = SigningKey::from_bytes(&SEED).to_keypair_bytes();
    let json = serde_json::to_string(&pair.to_vec()).unwrap();
    let base58 = bs58::encode(pair).into_string();
    for text in [&json, &base58, &format!("{json}\n")] {
        let secret = read(text.as_bytes(), Format::Solana, Algorithm::Ed25519);
        assert_eq!(secret.unwrap(), SEED);
        assert_eq!(read(text.as_bytes(), Format::Solana, Algorithm::EcdsaSecp256k1), None);
    }
    let mut others = pair;
    others[63] ^= 1;
    let others = bs58::encode(others).into_string();
    let short = serde_json::to_string(&pair[..32].to_vec()).unwrap();
    let long = "1".repeat(200);
    for wrong in [&*others, &short, &long, "[256]", "[]", "{}", "0OIl"] {
        assert_eq!(read(wrong.as_bytes(), Format::Solana, Algorithm::Ed25519), None, "{wrong}");
    }
}

/// The test vectors of the Web3 Secret Storage Definition: one password, one secret.
const PASSWORD: &[u8] = b"testpassword";
const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
const PBKDF2: &str = r#"{"crypto":{"cipher":"aes-128-ctr",
    "cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
    "ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
    "kdf":"pbkdf2","kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256",
    "salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
    "mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
    "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
const SCRYPT: &str = r#"{"crypto":{"cipher":"aes-128-ctr",
    "cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},
    "ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
    "kdf":"scrypt","kdfparams":{"dklen":32,"n":262144,"p":8,"r":1,
    "salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
    "mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},
    "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;

fn open(text: &str, password: &[u8]) -> Result<Vec<u8>, &'static str> {
    let algorithm = Algorithm::EcdsaSecp256k1;
    parse(text.as_bytes(), Format::Keystore, Some(password), algorithm).map(|key| key.to_vec())
}

#[test]
fn keystores_of_ethereum() {
    for keystore in [PBKDF2, SCRYPT] {
        assert_eq!(hex::encode(open(keystore, PASSWORD).unwrap()), SECRET);
        assert_eq!(
            hex::encode(open(&keystore.replace("crypto", "Crypto"), PASSWORD).unwrap()),
            SECRET
        );
        assert!(open(keystore, b"another").unwrap_err().contains("password"));
        let altered = keystore.replace("\"mac\":\"", "\"mac\":\"00");
        assert!(open(&altered, PASSWORD).unwrap_err().contains("password"));
        assert!(open(&keystore.replace(":3}", ":1}"), PASSWORD).is_err());
        assert!(open(&keystore.replace("aes-128-ctr", "aes-128-cbc"), PASSWORD).is_err());
        assert!(open(&keystore.replace("\"iv\":\"", "\"iv\":\"00"), PASSWORD).is_err());
    }
    assert_eq!(line(b"testpassword\r\n"), PASSWORD);
    assert_eq!(line(PASSWORD), PASSWORD);
}

/// Whoever writes the keystore does not choose what it takes to read it.
#[test]
fn the_cost_of_a_keystore_is_bounded() {
    let scrypt = |n: &str| open(&SCRYPT.replace("\"n\":262144", &format!("\"n\":{n}")), PASSWORD);
    for n in ["4294967296", "18446744073709551615", "8388608"] {
        assert!(scrypt(n).unwrap_err().contains("512 MiB"), "{n}");
    }
    for n in ["0", "1", "3", "262143"] {
        assert!(scrypt(n).unwrap_err().contains("parameters"), "{n}");
    }
    let r = SCRYPT.replace("\"r\":1", "\"r\":4294967295");
    assert!(open(&r, PASSWORD).unwrap_err().contains("512 MiB"));
    let p = SCRYPT.replace("\"p\":8", "\"p\":17");
    assert!(open(&p, PASSWORD).unwrap_err().contains("16 passes"));
    for c in ["0", "10000001"] {
        let c = PBKDF2.replace("\"c\":262144", &format!("\"c\":{c}"));
        assert!(open(&c, PASSWORD).unwrap_err().contains("rounds"));
    }
    let missing = SCRYPT.replace("\"n\":262144,", "");
    assert!(open(&missing, PASSWORD).unwrap_err().contains("neither"));
}

/// What OpenSSL writes is tried in `tests/import/commands.rs`.
#[test]
fn what_is_no_private_key_is_refused() {
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    for algorithm in Algorithm::ALL {
        for wrong in ["", "-----BEGIN", public] {
            assert_eq!(read(wrong.as_bytes(), Format::Pem, algorithm), None);
            assert_eq!(read(wrong.as_bytes(), Format::Der, algorithm), None);
        }
    }
}

/// What `JSON.stringify` makes of a `Uint8Array`.
fn index_map(bytes: &[u8]) -> String {
    let members: Vec<_> =
        bytes.iter().enumerate().map(|(index, byte)| format!("\"{index}\":{byte}")).collect();
    format!("{{{}}}", members.join(","))
}

/// Each spelling that an SDK writes, as the types and documents of the SDKs have it.
#[test]
fn shares_of_dynamic() {
    let algorithm = Algorithm::EcdsaSecp256k1;
    let point = k256::SecretKey::from_slice(&SEED).unwrap().public_key();
    let uncompressed = index_map(point.to_sec1_point(false).as_bytes());
    let evm = PublicKey::parse(algorithm, point.to_sec1_point(true).as_bytes()).unwrap();
    let seed = SigningKey::from_bytes(&SEED).verifying_key().to_bytes();
    let svm = PublicKey::parse(Algorithm::Ed25519, &seed).unwrap();
    let cases = [
        (r#"{"key_share_id":"5Kd3","secret_share":"00ff","pub_key":null}"#.to_owned(), None),
        (r#"[{"key_share_id":"5Kd3","secret_share":"00ff","pub_key":null}]"#.to_owned(), None),
        (r#"{"keyShareId":"5Kd3","secretShare":"00ff"}"#.to_owned(), None),
        (
            format!(r#"[{{"pubkey":{{"pubkey":{uncompressed}}},"secretShare":"00ff"}}]"#),
            Some((algorithm, evm)),
        ),
        (
            format!(r#"{{"pubkey":{},"secretShare":"00ff"}}"#, index_map(&seed)),
            Some((Algorithm::Ed25519, svm)),
        ),
    ];
    for (text, key) in cases {
        let (algorithm, key) = key.map_or((algorithm, None), |(of, key)| (of, Some(key)));
        let share = dynamic::parse(text.as_bytes(), None, algorithm).ok().unwrap();
        assert_eq!((&share.plaintext[..], share.public_key), (&b"00ff"[..], key), "{text}");
        assert_eq!(share.binding, Binding::Declared);
    }
    let two = r#"[{"secretShare":"00"},{"secretShare":"01"}]"#.as_bytes();
    let chosen =
        |index| dynamic::parse(two, index, algorithm).map(|share| share.plaintext.to_vec());
    assert_eq!(chosen(Some(1)).unwrap(), b"01");
    assert!(chosen(None).unwrap_err().contains("--index"));
    assert!(chosen(Some(2)).unwrap_err().contains("--index"));
    for wrong in [
        "",
        "[]",
        "{}",
        "\"00\"",
        r#"{"secretShare":7}"#,
        r#"{"secretShare":""}"#,
        r#"{"secretShare":"a b"}"#,
        r#"{"secretShare":"00","pubkey":{"0":256}}"#,
        r#"{"secretShare":"00","pubkey":{"1":4}}"#,
        r#"{"secretShare":"00","pubkey":{"x":"1","y":"2"}}"#,
    ] {
        assert!(dynamic::parse(wrong.as_bytes(), None, algorithm).is_err(), "{wrong}");
    }
}
