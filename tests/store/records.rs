//! Records of sealed shares that nobody can open: a store never does.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign::{
    envelope::{
        Commitment, ENVELOPE_MAX, Envelope, Header, Identity, KekRef, Nonce, SealedShare,
        WrappedDek,
    },
    key::{AccountAddress, Algorithm, Binding, PublicKey, RecordVersion, ShareId},
    record::ShareRecord,
};

/// A new share of `wallet`, made now, to the microsecond.
pub fn record(wallet: &str, algorithm: Algorithm) -> ShareRecord {
    let public_key = public_key(algorithm);
    let identity = Identity {
        environment: environment(),
        wallet: wallet.parse().unwrap(),
        share: ShareId::random(),
        version: RecordVersion::FIRST,
        address: AccountAddress::of(&public_key),
        algorithm,
        binding: Binding::Derived,
    };
    ShareRecord::new(&envelope(identity), public_key, now())
}

/// The next version of a record, under another KEK.
pub fn successor(record: &ShareRecord) -> ShareRecord {
    let mut next = record.clone();
    let description = &mut next.description;
    let version = description.identity.version.get() + 1;
    description.identity.version = version.try_into().unwrap();
    description.kek = KekRef::new("local", "", "countersign-next").unwrap();
    next.envelope = envelope(description.identity.clone()).encode();
    next
}

/// A new opaque share of `wallet`, of which only the address is known.
pub fn opaque(wallet: &str) -> ShareRecord {
    let algorithm = Algorithm::EcdsaSecp256k1;
    let mut identity = record(wallet, algorithm).description.identity;
    identity.binding = Binding::Declared;
    ShareRecord::new(&envelope(identity), PublicKey::unknown(algorithm), now())
}

/// A record with one byte more than any reader takes.
pub fn oversize() -> ShareRecord {
    let mut record = record("wallet", Algorithm::Ed25519);
    record.envelope = vec![0; ENVELOPE_MAX + 1];
    record
}

/// The first share of every curve: its base point.
fn public_key(algorithm: Algorithm) -> PublicKey {
    const ED25519: &str = "5866666666666666666666666666666666666666666666666666666666666666";
    const SECP256K1: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    const P256: &str = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
    let encoded = match algorithm {
        Algorithm::Ed25519 => ED25519,
        Algorithm::EcdsaSecp256k1 => SECP256K1,
        Algorithm::EcdsaP256 => P256,
        Algorithm::SchnorrSecp256k1 => &SECP256K1[2..],
    };
    PublicKey::parse(algorithm, &hex::decode(encoded).unwrap()).unwrap()
}

fn envelope(identity: Identity) -> Envelope {
    let mut sealed = [0; 48];
    getrandom::fill(&mut sealed).unwrap();
    Envelope::new(
        Header {
            identity,
            kek: KekRef::new("vault-transit", "transit/eu", "countersign-testing").unwrap(),
            commitment: Commitment([1; 32]),
            nonce: Nonce([2; 12]),
        },
        WrappedDek::new(*b"vault:v1:wrapped").unwrap(),
        SealedShare::new(sealed).unwrap(),
    )
}

fn now() -> SystemTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UNIX_EPOCH + Duration::from_micros(since.as_micros().try_into().unwrap())
}

/// The environment of every record here.
pub fn environment() -> countersign::key::Environment {
    "testing".parse().unwrap()
}

/// A KEK of this name.
pub fn kek(name: &str) -> KekRef {
    KekRef::new("local", "", name).unwrap()
}

/// A whole record of another environment.
pub fn elsewhere() -> ShareRecord {
    let row = record("wallet", Algorithm::Ed25519);
    let mut identity = row.description.identity.clone();
    identity.environment = "elsewhere".parse().unwrap();
    ShareRecord::new(&envelope(identity), row.description.public_key, row.description.created_at)
}
