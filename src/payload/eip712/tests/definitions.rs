//! What `types` may define.

use super::{changed, decode, one, refused, struct_with, typed};

const NAME: &str = "is an identifier";
const RESERVED: &str = "looks like an elementary type";
const SHAPE: &str = "types is an object of arrays";
const TYPE: &str = "a member's type is";
const DOMAIN: &str = "EIP712Domain has members of these alone";

#[test]
fn member_types() {
    // ethers takes uint for uint256, MetaMask hashes it as it stands, and viem
    // refuses it.
    for kind in [
        "uint",
        "int",
        "uint[]",
        "byte",
        "function",
        "fixed",
        "ufixed",
        "fixed128x18",
        "uint7",
        "uint0",
        "uint264",
        "uint08",
        "int512",
        "bytes0",
        "bytes33",
        "bytes01",
        "uint256[0]",
        "uint256[02]",
        "uint256[-1]",
        "uint256[+1]",
        "uint256[ 1]",
        "uint256[",
        "uint256[]]",
        "uint256[]x",
        "uint256[1",
        "uint8[99999999999999999999999]",
        "uint256[x]",
    ] {
        refused(&one(kind, "[]"), TYPE);
    }
    for kind in [
        "",
        " uint256",
        "uint256 ",
        "Uint256",
        "(uint256)",
        "(uint256,bool)",
        "tuple(uint256)",
        "A.B",
        "address payable",
        "mapping",
        "U",
        "T.T",
        "EIP712domain",
    ] {
        refused(&one(kind, "[]"), "must be in types");
    }
    refused(&one(&"(".repeat(60_000), "[]"), "must be in types");
    // Unused types count too.
    changed(
        r#""Person": ["#,
        r#""Unused": [{"name": "x", "type": "Undefined"}], "Person": ["#,
        "must be in types",
    );
}

#[test]
fn names() {
    for name in ["", "1a", "a b", "a.b", "a[0]", "a-b", "é", "a\\u0000", "а"] {
        refused(&struct_with(&format!(r#"{{"name":"{name}","type":"uint8"}}"#), "{}"), NAME);
        refused(&typed(&format!(r#"{{"T":[],"{name}":[]}}"#), "{}", "{}"), NAME);
    }
    refused(&struct_with(r#"{"name":"a:b","type":"uint8"}"#, "{}"), NAME);
    refused(&typed(r#"{"T":[],":a":[]}"#, "{}", "{}"), NAME);
    for name in [
        "address",
        "bool",
        "string",
        "bytes",
        "bytes4",
        "bytes99",
        "byte",
        "uint",
        "uint256",
        "uint9",
        "int",
        "int8",
        "function",
        "fixed",
        "ufixed128x18",
    ] {
        refused(&typed(&format!(r#"{{"T":[],"{name}":[]}}"#), "{}", "{}"), RESERVED);
    }
    for name in ["intent", "byteset", "Address", "fixedRate", "$", "_"] {
        assert!(
            decode(&typed(&format!(r#"{{"T":[],"{name}":[]}}"#), "{}", "{}")).is_ok(),
            "{name}"
        );
    }
}

#[test]
fn the_shape_of_types() {
    for types in [
        r#"{"T":{}}"#,
        r#"{"T":null}"#,
        r#"{"T":[[]]}"#,
        r#"{"T":["uint8 x"]}"#,
        r#"{"T":[{"name":"x"}]}"#,
        r#"{"T":[{"name":"x","type":"uint8","indexed":true}]}"#,
        r#"{"T":[{"name":"x","type":1}]}"#,
        r#"{"T":[{"name":1,"type":"uint8"}]}"#,
    ] {
        refused(&typed(types, "{}", r#"{"x":1}"#), SHAPE);
    }
}

#[test]
fn the_domains_type() {
    for members in [
        r#"{"name":"name","type":"bytes"}"#,
        r#"{"name":"chainId","type":"uint64"}"#,
        r#"{"name":"chainId","type":"string"}"#,
        r#"{"name":"verifyingContract","type":"string"}"#,
        r#"{"name":"verifyingContract","type":"address[]"}"#,
        r#"{"name":"salt","type":"bytes"}"#,
        r#"{"name":"extensions","type":"uint256[]"}"#,
    ] {
        refused(&typed(&format!(r#"{{"EIP712Domain":[{members}],"T":[]}}"#), "{}", "{}"), DOMAIN);
    }
    let chain = |id: &str| typed(r#"{"T":[]}"#, &format!(r#"{{"chainId":{id}}}"#), "{}");
    let decoded = decode(&chain("9223372036854775807")).unwrap();
    assert_eq!(decoded.domain.chain_id, Some(i64::MAX.unsigned_abs()));
    refused(&chain("9223372036854775808"), "a chain id is at most");
    refused(&chain("18446744073709551617"), "a chain id is at most");
    refused(&chain("-1"), "an integer is decimal");
}
