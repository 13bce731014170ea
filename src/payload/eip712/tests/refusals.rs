//! What no reader of JSON may take, and what the types do not list.

use super::{MAIL, changed, refused, typed};

const JSON: &str = "one JSON text";
const KIND: &str = "the JSON kind of its type";
const MEMBERS: &str = "exactly the members of its type";
const TWICE: &str = "may stand twice in one object";

#[test]
fn no_member_stands_twice() {
    changed(r#""contents": ""#, r#""contents": "Pay!", "contents": ""#, TWICE);
    changed(r#""contents": ""#, r#""contents": "Pay!", "content\u0073": ""#, TWICE);
    changed(r#"{"name": "Cow","#, r#"{"name": "Cow", "name": "Cow","#, TWICE);
    changed(r#""chainId": 1"#, r#""chainId": 1, "chainId": 1"#, TWICE);
    changed(r#""primaryType": "Mail""#, r#""primaryType": "Mail", "primaryType": "Mail""#, TWICE);
    changed(r#""Person": ["#, r#""Person": [], "Person": ["#, TWICE);
    changed(r#"{"name": "from", "#, r#"{"name": "from", "name": "from", "#, TWICE);
    changed(r#"{"name": "from", "#, r#"{"name": "to", "#, "twice in one struct");
}

#[test]
fn what_no_json_reader_may_take() {
    for trailing in ["x", "}", "{}", ",", "\0", "\u{a0}"] {
        refused(&format!("{MAIL}{trailing}"), JSON);
    }
    for (from, to) in [
        ("{", "\u{feff}{"),
        (r#""chainId": 1,"#, r#""chainId": 1,,"#),
        (r#""chainId": 1,"#, r#""chainId": 1 "#),
        (r#""chainId": 1,"#, r#""chainId" 1,"#),
        (r#""chainId": 1,"#, r#"chainId: 1,"#),
        (r#""chainId": 1,"#, r#""chainId": 1, // one"#),
        ("826\"},", "826\",},"),
        ("}\n        ],", "},\n        ],"),
        ("Hello", "Hel\nlo"),
        ("Hello", "Hel\\xlo"),
        ("Hello", "Hel\\ud800lo"),
        ("\"Hello, Bob!\"", "'Hello, Bob!'"),
        ("\"Hello, Bob!\"", "\"Hello, Bob!"),
        ("\"Hello, Bob!\"", "\"Hello, Bob!\\\""),
        ("\"Hello, Bob!\"", "True"),
        ("\"Hello, Bob!\"", "NaN"),
        ("\"Hello, Bob!\"", "undefined"),
    ] {
        changed(from, to, JSON);
    }
    for number in
        ["1.0", "1e0", "1E2", "01", "+1", "-", "--1", "1-", "-01", ".5", "1n", "0x1", "1_0"]
    {
        changed(r#""chainId": 1,"#, &format!(r#""chainId": {number},"#), JSON);
    }
    let end = MAIL.len();
    for length in 1..end {
        if let Some(cut) = MAIL.get(..length) {
            refused(cut, "");
        }
    }
}

#[test]
fn the_outermost_object() {
    let rule = "an object of types, domain, primaryType and message";
    for json in ["[]", "1", "\"\"", "null", "{}"] {
        refused(json, rule);
    }
    refused(&format!("[{MAIL}]"), rule);
    changed(r#""primaryType""#, r#""version": 4, "primaryType""#, rule);
    changed(r#""primaryType""#, r#""type""#, rule);
    changed(r#""primaryType": "Mail""#, r#""primaryType": ["Mail"]"#, rule);
    changed(r#""primaryType": "Mail""#, r#""primaryType": "mail""#, "primaryType is one of types");
    changed(
        r#""primaryType": "Mail""#,
        r#""primaryType": "Mail[]""#,
        "primaryType is one of types",
    );
    changed(r#""primaryType": "Mail""#, r#""primaryType": "uint8""#, "primaryType is one of types");
    changed(
        r#""primaryType": "Mail""#,
        r#""primaryType": "EIP712Domain""#,
        "cannot be EIP712Domain",
    );
}

#[test]
fn objects_have_the_members_of_their_type() {
    changed(r#", Bob!""#, r#"", "note": "and nothing else""#, MEMBERS);
    changed(r#"{"name": "Cow","#, r#"{"name": "Cow", "age": 3,"#, MEMBERS);
    changed(r#"{"name": "Cow","#, "{", MEMBERS);
    changed(r#"{"name": "Cow","#, r#"{"Name": "Cow","#, MEMBERS);
    changed(r#""name": "Ether Mail","#, "", MEMBERS);
    changed(r#""name": "Ether Mail","#, r#""name": "Ether Mail", "salt": "0x","#, MEMBERS);
    changed(r#""name": "Ether Mail","#, r#""label": "Ether Mail","#, MEMBERS);
    for value in ["null", "1", "true", "\"\"", "[]"] {
        refused(&typed(r#"{"T":[]}"#, "{}", value), MEMBERS);
        refused(
            &typed(
                r#"{"T":[{"name":"x","type":"U"}],"U":[]}"#,
                "{}",
                &format!(r#"{{"x":{value}}}"#),
            ),
            MEMBERS,
        );
    }
    // A domain whose type is derived has no other members either.
    refused(&typed(r#"{"T":[]}"#, r#"{"name":"n","chain":1}"#, "{}"), MEMBERS);
    refused(&typed(r#"{"T":[]}"#, r#"{"name":null}"#, "{}"), KIND);
}
