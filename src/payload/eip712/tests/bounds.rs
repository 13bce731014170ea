//! How much of everything there may be.

use super::{MAIL, decode, one, refused, struct_with, typed};
use crate::payload::eip712::{TYPED_DATA_MAX, TypedData};

#[test]
fn sizes() {
    let size = "1 to 65,536 bytes of UTF-8";
    assert_eq!(TypedData::decode(b"").unwrap_err().0, crate::payload::eip712::SIZE.0);
    let mut padded = MAIL.to_owned();
    padded.push_str(&" ".repeat(TYPED_DATA_MAX - MAIL.len()));
    assert_eq!(decode(&padded), decode(MAIL));
    padded.push(' ');
    refused(&padded, size);
    let mut latin = MAIL.as_bytes().to_vec();
    let at = MAIL.find("Hello").unwrap();
    latin[at] = 0xe9;
    assert!(TypedData::decode(&latin).unwrap_err().0.contains(size));
}

#[test]
fn bounds() {
    let list = |count: usize, item: &dyn Fn(usize) -> String| {
        (0..count).map(item).collect::<Vec<_>>().join(",")
    };

    let types = |count: usize| {
        let others = list(count - 1, &|n| format!(r#""T{n}":[]"#));
        typed(&format!(r#"{{"T":[],{others}}}"#), "{}", "{}")
    };
    assert!(decode(&types(64)).is_ok());
    refused(&types(65), "at most 64 types");

    let members = |count| {
        let members = list(count, &|n| format!(r#"{{"name":"m{n}","type":"bool"}}"#));
        struct_with(&members, &format!("{{{}}}", list(count, &|n| format!(r#""m{n}":true"#))))
    };
    assert_eq!(decode(&members(64)).unwrap().fields.len(), 64);
    refused(&members(65), "at most 64 members");

    let fields = |count| one("uint8[]", &format!("[{}]", list(count, &|_| "7".to_owned())));
    assert_eq!(decode(&fields(4095)).unwrap().fields.len(), 4096);
    refused(&fields(4096), "at most 4,096 fields");

    let structs = |count| {
        let items = list(count, &|_| "{}".to_owned());
        typed(r#"{"T":[{"name":"x","type":"U[]"}],"U":[]}"#, "{}", &format!(r#"{{"x":[{items}]}}"#))
    };
    assert!(decode(&structs(4095)).is_ok());
    refused(&structs(4096), "and as many structs");

    // The message itself is the first of 32 levels.
    let nested = |depth| {
        let value = ["[".repeat(depth), "]".repeat(depth)].concat();
        one(&format!("uint8{}", "[]".repeat(depth)), &value)
    };
    assert!(decode(&nested(31)).is_ok());
    refused(&nested(32), "nests at most 32");
    refused(&"[".repeat(TYPED_DATA_MAX), "nests at most 32");
    refused(&"{\"a\":".repeat(TYPED_DATA_MAX / 5), "nests at most 32");

    let path = |length: usize| {
        let name = "n".repeat(length);
        struct_with(
            &format!(r#"{{"name":"{name}","type":"bool"}}"#),
            &format!(r#"{{"{name}":true}}"#),
        )
    };
    assert!(decode(&path(256)).is_ok());
    refused(&path(257), "at most 256 bytes together");

    // `T(bool …)` around the name, which no value needs.
    let encoded = |length: usize| {
        let types = format!(
            r#"{{"T":[{{"name":"x","type":"U[]"}}],"U":[{{"name":"{}","type":"bool"}}]}}"#,
            "n".repeat(length)
        );
        typed(&types, "{}", r#"{"x":[]}"#)
    };
    let around = "T(U[] x)U(bool )".len();
    assert_eq!(decode(&encoded(8192 - around)).unwrap().encode_type.len(), 8192);
    refused(&encoded(8193 - around), "at most 8,192 bytes");
}
