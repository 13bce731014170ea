//! How a value of an elementary type may be written.

use super::{decode, one, refused};

const INTEGER: &str = "an integer is decimal";
const ADDRESS: &str = "an address is";
const BYTES: &str = "bytes are 0x";
const KIND: &str = "the JSON kind of its type";

#[test]
fn integers() {
    for (kind, taken) in [
        ("uint8", vec!["0", "255", r#""255""#, r#""0xff""#, r#""0xFF""#, r#""0x00ff""#]),
        ("int8", vec!["127", "-128", r#""-128""#, r#""-0x80""#, r#""0x7f""#, "0"]),
        (
            "uint256",
            vec![r#""0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff""#],
        ),
        (
            "int256",
            vec!["57896044618658097711785492504343953926634992332820282019728792003956564819967"],
        ),
    ] {
        for value in taken {
            assert!(decode(&one(kind, value)).is_ok(), "{kind} {value}");
        }
    }
    for (kind, value) in [
        ("uint8", "256"),
        ("uint8", "-1"),
        ("uint8", r#""-1""#),
        ("uint8", "-0"),
        ("uint8", r#""0x100""#),
        ("int8", "128"),
        ("int8", "-129"),
        ("int8", "-0"),
        ("int8", r#""0xff""#),
        ("int8", r#""-0x81""#),
        (
            "uint256",
            "115792089237316195423570985008687907853269984665640564039457584007913129639936",
        ),
        ("int256", "57896044618658097711785492504343953926634992332820282019728792003956564819968"),
        (
            "int256",
            "-57896044618658097711785492504343953926634992332820282019728792003956564819969",
        ),
        ("uint256", r#""0x00000000000000000000000000000000000000000000000000000000000000001""#),
    ] {
        refused(&one(kind, value), INTEGER);
    }
    for text in [
        "", " ", " 1", "1 ", "+1", "01", "1_000", "1,000", "0x", "0X1", "0b1", "0o7", "-", "--1",
        "-0", "0x-1", "1.0", "1e3", "ff", "0xg", "0x1_0", "٣", "１",
    ] {
        refused(&one("uint256", &format!("\"{text}\"")), INTEGER);
        refused(&one("int256", &format!("\"{text}\"")), INTEGER);
    }
    for value in ["true", "null", "[1]", "{}"] {
        refused(&one("uint256", value), KIND);
    }
}

#[test]
fn addresses() {
    const CHECKED: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    let digits = &CHECKED[2..];
    for text in [CHECKED.to_owned(), CHECKED.to_lowercase(), format!("0x{}", digits.to_uppercase())]
    {
        let decoded = decode(&one("address", &format!("\"{text}\""))).unwrap();
        assert_eq!(decoded.fields, [("x".to_owned(), CHECKED.to_owned())]);
    }
    for text in [
        CHECKED.replace('F', "f"),
        CHECKED.replace("0x", "0X"),
        digits.to_lowercase(),
        CHECKED[..41].to_lowercase(),
        CHECKED.to_lowercase() + "0",
        CHECKED.to_lowercase() + "00",
        format!(" {}", CHECKED.to_lowercase()),
        CHECKED.to_lowercase().replace('a', "g"),
        "vitalik.eth".to_owned(),
        String::new(),
    ] {
        refused(&one("address", &format!("\"{text}\"")), ADDRESS);
    }
    refused(&one("address", "0"), KIND);
}

#[test]
fn bytes_strings_and_bools() {
    for (kind, value) in [
        ("bytes", "\"0x0\""),
        ("bytes", "\"00\""),
        ("bytes", "\"\""),
        ("bytes", "\"0X00\""),
        ("bytes", "\"0x0g\""),
        ("bytes3", "\"0x6162\""),
        ("bytes3", "\"0x61626364\""),
        ("bytes32", "\"0x\""),
    ] {
        refused(&one(kind, value), BYTES);
    }
    for (kind, value) in [
        ("bytes", "[1,2]"),
        ("bytes3", "1"),
        ("string", "1"),
        ("string", "true"),
        ("string", "null"),
        ("string", "[\"a\"]"),
        ("bool", "\"true\""),
        ("bool", "1"),
        ("bool", "\"\""),
        ("bool", "null"),
    ] {
        refused(&one(kind, value), KIND);
    }
}

#[test]
fn arrays() {
    let rule = "an array is a JSON array";
    for (kind, value) in [
        ("uint8[2]", "[1]"),
        ("uint8[2]", "[1,2,3]"),
        ("uint8[]", "1"),
        ("uint8[]", "{}"),
        ("uint8[]", "\"0x0102\""),
        ("uint8[]", "null"),
        ("uint8[][2]", "[[1],[2],[3]]"),
        ("uint8[2][]", "[[1]]"),
    ] {
        refused(&one(kind, value), rule);
    }
    refused(&one("uint8[]", "[null]"), KIND);
    assert!(decode(&one("uint8[2][]", "[[1,2],[3,4],[5,6]]")).is_ok());
    assert!(decode(&one("uint8[][2]", "[[1,2,3],[]]")).is_ok());
}
