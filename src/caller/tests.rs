use super::*;

fn id(text: &str) -> SpiffeId {
    text.parse().unwrap()
}

/// SPIFFE-ID §2 and X509-SVID §3.1.
#[test]
fn only_the_canonical_spelling_of_a_workload_is_an_id() {
    let long = |length: usize| format!("spiffe://td/{}", "p".repeat(length - "spiffe://td/".len()));
    let good = [
        "spiffe://example.org/ns/payments/sa/api",
        "spiffe://a_b-c.0/...",
        "spiffe://td/A.b_c-D/9",
        &long(2048),
    ];
    for text in good {
        assert_eq!(id(text).as_str(), text);
    }
    assert_eq!(id("spiffe://example.org/a/b").trust_domain(), "example.org");
    let host = format!("spiffe://{}/p", "h".repeat(256));
    let bad = [
        "",
        "spiffe",
        "spiffe:",
        "spiffe://",
        "spiffe:///path",
        "spiffe://td",
        "spiffe://td/",
        "spiffe://td/path/",
        "spiffe://td//path",
        "spiffe://td/./path",
        "spiffe://td/a/../b",
        "spiffe://td/..",
        "Spiffe://td/path",
        "SPIFFE://td/path",
        "spiffe://TD/path",
        "spiffe://td:443/path",
        "spiffe://user@td/path",
        "spiffe://td/path?query",
        "spiffe://td/path?",
        "spiffe://td/path#fragment",
        "spiffe://td/pa%74h",
        "spiffe://td/pfad\u{e4}",
        "spiffe://t\u{e4}/path",
        "spiffe://td/a b",
        " spiffe://td/path",
        "spiffe://td/path\n",
        "spiffe://td/path\0",
        "spiffe:/td/path",
        "https://td/path",
        "urn:spiffe://td/path",
        &long(2049),
        &host,
    ];
    for text in bad {
        assert!(text.parse::<SpiffeId>().is_err(), "{text:?}");
    }
}

fn caller(name: &str, uid: Option<u32>, spiffe_id: Option<&str>) -> Caller {
    Caller {
        name: name.into(),
        uid,
        spiffe_id: spiffe_id.map(id),
        groups: Box::default(),
        rate: None,
    }
}

#[test]
fn a_caller_is_found_by_each_of_its_identities_and_is_one_party() {
    let callers: Callers = [
        caller("both", Some(1), Some("spiffe://td/both")),
        caller("user", Some(2), None),
        caller("workload", None, Some("spiffe://td/workload")),
        // No configuration has it; it is nobody even so.
        caller("overflow", Some(OVERFLOW_UID), None),
    ]
    .into_iter()
    .collect();
    let workload = |path: &str| Peer::Workload(id(&format!("spiffe://td/{path}")));
    let name = |peer: &Peer| callers.find(peer).map(|caller| caller.name.to_string());
    let expected = [
        (Peer::User(1), Some("both")),
        (Peer::User(2), Some("user")),
        (Peer::User(3), None),
        (Peer::User(OVERFLOW_UID), None),
        (workload("both"), Some("both")),
        (workload("workload"), Some("workload")),
        (workload("Both"), None),
        (workload("both/child"), None),
        (Peer::Workload(id("spiffe://other/both")), None),
        (Peer::Nobody("no certificate"), None),
    ];
    for (peer, expected) in expected {
        assert_eq!(name(&peer).as_deref(), expected, "{peer}");
    }
    assert_eq!(callers.iter().count(), 4);

    let party = |peer: &Peer| callers.party(peer);
    assert_eq!(party(&Peer::User(1)), party(&workload("both")), "one caller, one room");
    assert_ne!(party(&Peer::User(1)), party(&Peer::User(2)));
    assert_eq!(party(&Peer::User(3)), Party::User(3));
    assert_ne!(party(&workload("a")), party(&workload("b")));
    let nobody = [Peer::User(OVERFLOW_UID), Peer::Nobody("one reason"), Peer::Nobody("another")];
    for peer in nobody {
        assert_eq!(party(&peer), Party::Nobody, "{peer}");
    }
}
