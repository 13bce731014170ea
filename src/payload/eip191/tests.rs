//! Known answers of eth-account 0.14.0 (`encode_defunct`).

use super::*;

fn message(bytes: &[u8]) -> PersonalMessage {
    PersonalMessage::decode(Bytes::copy_from_slice(bytes)).unwrap()
}

#[test]
fn digests_are_those_of_eth_account() {
    for (bytes, digest) in [
        (&b"hello"[..], "50b2c43fd39106bafbba0da34fc430e1f91e3c96ea2acee2bc34119f92b37750"),
        // No bytes at all, of length "0".
        (b"", "5f35dce98ba4fba25530a026ed80b2cecdaa31091ba4958b99b52ea1d068adad"),
        // 16 characters of 22 bytes: the length counts bytes.
        (
            "Grüße, 世界".as_bytes(),
            "3deb6cfed5d33caffc5d1b0bd97c4c2a40b44ffeb148d1a3c4ca15403dd15edc",
        ),
        (&[0xff, 0, 0x80], "f70343b2c59dec19761927f06e96a8cedfd7d02bb7d33b676d08e70a649aa91c"),
        (&[b'a'; PAYLOAD_MAX], "4ccce77046a28ddc20cfed38ae1c578db7f5b1a4293248d8ec057ad3ef7a74b8"),
    ] {
        assert_eq!(hex::encode(message(bytes).digest()), digest);
        assert_eq!(message(bytes).message(), bytes);
    }
}

#[test]
fn text_is_what_is_valid_utf_8() {
    assert_eq!(message("Grüße, 世界".as_bytes()).text(), Some("Grüße, 世界"));
    assert_eq!(message(b"").text(), Some(""));
    assert_eq!(message(&[0xff, 0, 0x80]).text(), None);
    // A surrogate, and an overlong encoding of "/": no UTF-8.
    assert_eq!(message(&[0xed, 0xa0, 0x80]).text(), None);
    assert_eq!(message(&[0xc0, 0xaf]).text(), None);
}

#[test]
fn a_message_longer_than_the_limit_is_refused() {
    let refused = PersonalMessage::decode(vec![b'a'; PAYLOAD_MAX + 1].into());
    assert_eq!(refused, Err(Undecodable("a personal message has at most 65536 bytes")));
}
