use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, IsCa, KeyPair, KeyUsagePurpose, SanType,
};

use super::*;

const ID: &str = "spiffe://example.org/api";
/// OIDs of RFC 5280 §4.2.1.6 and §4.2.1.9.
const ALTERNATIVE_NAME: &[u64] = &[2, 5, 29, 17];
const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];

fn params(uris: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    let uri = |uri: &&str| SanType::URI((*uri).try_into().unwrap());
    params.subject_alt_names = uris.iter().map(uri).collect();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

fn peer(params: CertificateParams) -> Peer {
    let key = KeyPair::generate().unwrap();
    Certificate::peer(params.self_signed(&key).unwrap().der())
}

#[track_caller]
fn assert_nobody(peer: Peer, expected: &str) {
    let Peer::Nobody(why) = peer else { panic!("{peer}") };
    assert!(why.contains(expected), "{why}");
}

#[test]
fn a_workload_is_named_by_its_one_uri() {
    assert_eq!(peer(params(&[ID])), Peer::Workload(ID.parse().unwrap()));
    assert_nobody(peer(params(&[])), "no URI");
    assert_nobody(peer(params(&[ID, ID])), "more than one URI");
    assert_nobody(peer(params(&["urn:example"])), "not the SPIFFE ID");
}

/// What verifies chains refuses these before; this does not rely on it.
#[test]
fn what_may_sign_names_nobody() {
    let mut authority = params(&[ID]);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_nobody(peer(authority), "an authority's");
    for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        let mut signing = params(&[ID]);
        signing.key_usages.push(usage);
        assert_nobody(peer(signing), "may sign");
    }
}

/// An extension that is there twice, or is not what it says, could be read in two
/// ways.
#[test]
fn what_cannot_be_read_names_nobody() {
    let with = |oid: &[u64], content: Vec<u8>| {
        let mut params = params(&[ID]);
        params.custom_extensions = vec![CustomExtension::from_oid_content(oid, content)];
        peer(params)
    };
    // GeneralNames with one URI, `a:b`.
    let names = b"\x30\x05\x86\x03a:b".to_vec();
    assert_nobody(with(ALTERNATIVE_NAME, names), "cannot be read");
    assert_nobody(with(BASIC_CONSTRAINTS, vec![0x30, 0x03, 0x01, 0x01]), "cannot be read");
    for der in [&b""[..], b"\x30\x00", &[0x30; 64], &[0xff; 64]] {
        assert_nobody(Certificate::peer(&der.to_vec().into()), "cannot be read");
    }
    let certificate = params(&[ID]).self_signed(&KeyPair::generate().unwrap()).unwrap();
    let whole = certificate.der().to_vec();
    for length in 0..whole.len() {
        assert_nobody(Certificate::peer(&whole[..length].to_vec().into()), "cannot be read");
    }
    // No byte of it makes this panic, whatever it becomes.
    for index in 0..whole.len() {
        let mut bent = whole.clone();
        bent[index] ^= 0x55;
        let _ = Certificate::peer(&bent.into());
    }
}
