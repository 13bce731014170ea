//! Digests that other libraries computed, with the JSON that they were given. All
//! are of viem 2.57.20; the comments say who else agrees of ethers 6.17.0,
//! @metamask/eth-sig-util 8.2.0 (MetaMask) and eth-account 0.14.0, and who does not.

use alloy_primitives::{U256, address, hex};

use super::{
    MAIL, decode,
    documents::{COLON, DERIVED, EVERY, MUTUAL, ORDER, PERMIT, SORT, TREE},
};
use crate::payload::eip712::{Domain, Permit, TypedData};

#[track_caller]
fn known(json: &str, digest: [u8; 32]) -> TypedData {
    let decoded = decode(json).unwrap();
    assert_eq!(hex::encode(decoded.digest), hex::encode(digest));
    decoded
}

fn fields(decoded: &TypedData) -> Vec<(&str, &str)> {
    decoded.fields.iter().map(|(path, value)| (&**path, &**value)).collect()
}

/// The EIP's own example; every library agrees.
#[test]
fn the_mail_of_the_eip() {
    let mail =
        known(MAIL, hex!("be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"));
    let contract = address!("0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC");
    let domain = Domain {
        name: Some("Ether Mail".into()),
        version: Some("1".into()),
        chain_id: Some(1),
        verifying_contract: Some(contract),
        salt: None,
    };
    assert_eq!(mail.domain, domain);
    assert_eq!(&*mail.primary_type, "Mail");
    assert_eq!(
        &*mail.encode_type,
        "Mail(Person from,Person to,string contents)Person(string name,address wallet)"
    );
    let expected = [
        ("from.name", "Cow"),
        ("from.wallet", "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"),
        ("to.name", "Bob"),
        ("to.wallet", "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"),
        ("contents", "Hello, Bob!"),
    ];
    assert_eq!(fields(&mail), expected);
    assert_eq!(mail.permit, None);
}

/// All four agree.
#[test]
fn every_type() {
    let digest = hex!("27817341e81f25dcb968b4e99fa14a114406285d00260e0c520debe22f10a1ad");
    let decoded = known(EVERY, digest);
    assert_eq!(decoded.domain.salt, Some([0xab; 32]));
    let expected = [
        ("maker.name", "Zoë \n"),
        ("maker.wallets[]", "2"),
        ("maker.wallets[0]", "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"),
        ("maker.wallets[1]", "0xDeaDbeefdEAdbeefdEadbEEFdeadbeEFdEaDbeeF"),
        ("maker.deputy.name", ""),
        ("legs[]", "0"),
        ("pair[]", "2"),
        ("pair[0].token", "0x0000000000000000000000000000000000000001"),
        ("pair[0].amount", "340282366920938463463374607431768211455"),
        ("pair[1].token", "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"),
        ("pair[1].amount", "0"),
        ("grid[]", "3"),
        ("grid[0][]", "0"),
        ("grid[1][]", "2"),
        ("grid[1][0]", "1"),
        ("grid[1][1]", "65535"),
        ("grid[2][]", "1"),
        ("grid[2][0]", "255"),
        ("open", "true"),
        ("shut", "false"),
        ("low", "-128"),
        ("high", "-57896044618658097711785492504343953926634992332820282019728792003956564819968"),
        ("max", "115792089237316195423570985008687907853269984665640564039457584007913129639935"),
        ("memo", "text with \"quotes\" and \0"),
        ("blob", "0x00deadbeef"),
        ("none", "0x"),
        ("id", "0x0101010101010101010101010101010101010101010101010101010101010101"),
        ("tag", "0x616263"),
    ];
    assert_eq!(fields(&decoded), expected);
    // Python's json module writes integers of any size as integers.
    let python = EVERY.replace("\"1157920", "1157920").replace("639935\",", "639935,");
    assert_ne!(python, EVERY);
    assert_eq!(decode(&python), Ok(decoded));
}

/// All four agree.
#[test]
fn a_permit() {
    let digest = hex!("95ec5ebabe7a14d01c62e62b3bae50442c86e7681b4e9c47ce6234bcffa5fe59");
    let expected = Permit {
        owner: address!("0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"),
        spender: address!("0x68b3465833fb72A70ecDF485E0e4C7bD8665Fc45"),
        value: U256::MAX,
        nonce: U256::ZERO,
        deadline: U256::from(1_893_456_000),
    };
    assert_eq!(known(PERMIT, digest).permit, Some(expected));
    // The permits of DAI and of others have the same name, and other members.
    let other = PERMIT.replace("\"nonce\"", "\"count\"");
    assert_eq!(decode(&other).unwrap().permit, None);
}

/// ethers refuses recursive types. Of the others all agree on the first, and
/// eth-account refuses the second.
#[test]
fn structs_that_contain_themselves() {
    let digest = hex!("4fa6f5df028612e3352546c55f2e281965ffe95e4006d7016df7ffdf10d67185");
    let tree = known(TREE, digest);
    assert_eq!(&*tree.encode_type, "Tree(uint256 value,Tree[] children)");
    assert!(fields(&tree).contains(&("children[1].children[0].value", "4")));
    let digest = hex!("5f2f335d47861cc4dfe67113fb7e91ea11e2fa3fb312999badd627778778d127");
    assert_eq!(&*known(MUTUAL, digest).encode_type, "A(B[] b)B(A[] a,uint8 n)");
}

/// MetaMask agrees; ethers and eth-account do not look at EIP712Domain and hash
/// the members in the EIP's order.
#[test]
fn the_domains_type_has_the_order_that_it_is_given() {
    let digest = hex!("95fa2e66c4af07d03f98077ffd64ecd5bd9fa0cda53195c4950ff77e9125cfd9");
    known(ORDER, digest);
}

/// ethers and eth-account agree; MetaMask takes a domain without a type for an
/// empty one.
#[test]
fn a_domain_without_a_type_has_its_members_in_the_eips_order() {
    let digest = hex!("76864b4f4bc81d22ac8c29828ec5361835173545637d9847e43bcf8e31586bc4");
    let domain = known(DERIVED, digest).domain;
    assert_eq!((domain.chain_id, domain.version), (Some(5), Some("".into())));
}

/// All four agree: no member in the domain, and none in the message.
#[test]
fn empty_structs() {
    let digest = hex!("594ef1597c634c6e7957c99e10294e56bad063d155f49240738876e6acf507bf");
    let typed = |types| super::typed(types, "{}", "{}");
    known(&typed(r#"{"EIP712Domain":[],"T":[]}"#), digest);
    known(&typed(r#"{"T":[]}"#), digest);
}

/// The example of Hyperliquid's documentation has a colon in the name; all four
/// agree.
#[test]
fn a_colon_in_the_name_of_a_type() {
    let digest = hex!("993a102e0afa629d6629c18607708438cfe1de32827469e8501d030364434872");
    assert_eq!(&*known(COLON, digest).primary_type, "HyperliquidTransaction:UsdSend");
}

/// ethers and eth-account agree that structs are sorted by name; MetaMask does not
/// see the `$`, and alloy sorts `B$(` before `B(`.
#[test]
fn structs_are_sorted_by_name() {
    let digest = hex!("8391c8be5f7d648192b6a31d1fbeee3e76fd782fa59835c33d5570445bd36503");
    let sorted = known(SORT, digest);
    assert_eq!(&*sorted.encode_type, "T(BA a,B$ b,B c)B(uint8 x)B$(uint8 x)BA(uint8 x)");
}
