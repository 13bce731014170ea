//! What is not imported: nothing is unwrapped, wrapped or stored for it.

use std::time::SystemTime;

use countersign::{
    audit::note::Name,
    import::{self, Declared, LIVE_MAX, SealError, Statement, StatementError},
    key::{Algorithm, ShareId},
    proto::{self, ImportShareRequest},
};
use tonic::{Code, Status};
use zeroize::Zeroizing;

use super::{Foreign, statement};
use crate::{
    refusals::refused,
    support::{
        enclave::{Enclave, Setup},
        refused::{assert_invalid, assert_refused},
    },
};

/// What is done to a good request.
type Change<'c> = &'c dyn Fn(&mut ImportShareRequest);

async fn import(enclave: &Enclave, request: ImportShareRequest) -> Status {
    let mut custody = enclave.custody().await;
    refused(enclave, custody.import_share(request)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_fields_are_named() {
    let enclave = Enclave::start().await;
    let foreign = Foreign::new(Algorithm::EcdsaSecp256k1);
    let statement = statement(&enclave).await;
    let good = foreign.request(&statement);
    let with = |change: Change<'_>| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let other = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";
    let cases: [(&str, Change<'_>); 21] = [
        ("import_key", &|request| request.import_key = vec![1; 31].into()),
        ("import_key", &|request| request.import_key = vec![].into()),
        ("environment", &|request| request.environment.clear()),
        ("environment", &|request| request.environment = "production".to_owned()),
        ("environment", &|request| request.environment = "Test".to_owned()),
        ("share_id", &|request| request.share_id.clear()),
        ("share_id", &|request| request.share_id = request.share_id.to_uppercase()),
        ("wallet_id", &|request| request.wallet_id = "a b".to_owned()),
        ("wallet_id", &|request| request.wallet_id.clear()),
        ("algorithm", &|request| request.algorithm = 0),
        ("algorithm", &|request| request.algorithm = 7),
        ("public_key", &|request| request.public_key = vec![].into()),
        ("public_key", &|request| request.public_key = vec![2; 32].into()),
        ("public_key", &|request| request.public_key = vec![0; 33].into()),
        ("account_address", &|request| request.account_address = other.to_owned()),
        ("account_address", &|request| request.account_address = other.to_lowercase()),
        ("account_address", &|request| request.account_address = "not an address".to_owned()),
        ("sealed_share", &|request| request.sealed_share = vec![].into()),
        ("sealed_share", &|request| request.sealed_share = vec![0; 48].into()),
        ("sealed_share", &|request| request.sealed_share = vec![0; 65_585].into()),
        ("account_address", &|request| {
            request.algorithm = 3;
            request.public_key = vec![].into();
            request.account_address = other.to_owned();
        }),
    ];
    for (field, change) in cases {
        assert_invalid(&import(&enclave, with(change)).await, field);
    }
    // None of them used the key up.
    enclave.custody().await.import_share(good).await.unwrap();
}

/// Whatever was bound into the seal, and whatever was sealed.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_altered_or_sealed_for_something_else_does_not_open() {
    let enclave = Enclave::start().await;
    let foreign = Foreign::new(Algorithm::EcdsaSecp256k1);
    let another = Foreign::new(Algorithm::SchnorrSecp256k1);
    let length = foreign.secret.len() + 48;
    let flips = [0, 31, 32, length - 17, length - 16, length - 1].map(|place| {
        move |request: &mut ImportShareRequest| {
            let mut sealed = request.sealed_share.to_vec();
            sealed[place] ^= 1;
            request.sealed_share = sealed.into();
        }
    });
    let retargets: [Change<'_>; 5] = [
        &|request| request.share_id = ShareId::random().to_string(),
        &|request| request.wallet_id = "wallet-2".to_owned(),
        &|request| {
            request.algorithm = 4;
            request.public_key = another.public_key.as_bytes().to_vec().into();
        },
        &|request| {
            request.public_key = vec![].into();
            request.account_address = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf".to_owned();
        },
        // A point of small order, for which every shared secret is zero.
        &|request| {
            let mut sealed = request.sealed_share.to_vec();
            sealed[..32].fill(0);
            request.sealed_share = sealed.into();
        },
    ];
    let flips = flips.iter().map(|flip| flip as Change<'_>);
    for change in flips.chain(retargets) {
        let statement = statement(&enclave).await;
        let mut request = foreign.request(&statement);
        change(&mut request);
        let status = import(&enclave, request).await;
        assert_refused(&status, Code::InvalidArgument, "IMPORT_UNOPENED");
        // One attempt was all that this key had.
        let status = import(&enclave, foreign.request(&statement)).await;
        assert_refused(&status, Code::FailedPrecondition, "IMPORT_KEY_UNUSABLE");
    }
    assert_eq!(enclave.signing.enclave.pool().free(), enclave.slots);
}

#[tokio::test(flavor = "multi_thread")]
async fn weak_and_other_keys_are_refused() {
    let enclave = Enclave::start().await;
    // The order of secp256k1 (SEC 2 §2.4.1) and of P-256 (FIPS 186-5 / SP 800-186).
    let n_k256 = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let n_p256 = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let mut cases = Vec::new();
    for algorithm in Algorithm::ALL {
        for length in [1, 31, 33, 64, 4096, 65_536] {
            cases.push((algorithm, vec![0x2a; length]));
        }
    }
    for algorithm in [Algorithm::EcdsaSecp256k1, Algorithm::SchnorrSecp256k1] {
        cases.push((algorithm, hex::decode(n_k256).unwrap()));
        cases.push((algorithm, vec![0xff; 32]));
        cases.push((algorithm, vec![0; 32]));
    }
    cases.push((Algorithm::EcdsaP256, hex::decode(n_p256).unwrap()));
    cases.push((Algorithm::EcdsaP256, vec![0; 32]));
    for (algorithm, secret) in cases {
        let foreign = Foreign { secret, ..Foreign::new(algorithm) };
        let status = import(&enclave, foreign.request(&statement(&enclave).await)).await;
        assert_refused(&status, Code::InvalidArgument, "IMPORT_INVALID");
    }
    for algorithm in Algorithm::ALL {
        let foreign = Foreign { secret: vec![0x2b; 32], ..Foreign::new(algorithm) };
        let status = import(&enclave, foreign.request(&statement(&enclave).await)).await;
        assert_refused(&status, Code::InvalidArgument, "IMPORT_MISMATCH");
    }
    assert_eq!(enclave.signing.enclave.pool().free(), enclave.slots);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_of_one_instance() {
    let (one, other) = (Enclave::start().await, Enclave::start().await);
    let foreign = Foreign::new(Algorithm::Ed25519);
    let statement = statement(&one).await;
    let status = import(&other, foreign.request(&statement)).await;
    assert_refused(&status, Code::FailedPrecondition, "IMPORT_KEY_UNUSABLE");
    one.custody().await.import_share(foreign.request(&statement)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn few_keys_are_live_at_once() {
    let enclave = Enclave::start().await;
    let mut statements = Vec::new();
    for _ in 0..LIVE_MAX {
        statements.push(statement(&enclave).await);
    }
    let mut custody = enclave.custody().await;
    let status = refused(&enclave, custody.get_import_key(proto::GetImportKeyRequest {})).await;
    assert_refused(&status, Code::ResourceExhausted, "OVERLOADED");
    // One that is used makes room for another.
    let foreign = Foreign::new(Algorithm::Ed25519);
    custody.import_share(foreign.request(&statements[2])).await.unwrap();
    statement(&enclave).await;
    assert_eq!(enclave.signing.enclave.pool().free(), enclave.slots - LIVE_MAX);
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_decides_on_imports() {
    let policy = r#"
        @id("keys") permit (principal, action == Action::"GetImportKey", resource);
        @id("one-wallet") permit (principal, action == Action::"ImportShare", resource)
        when { resource.wallet == "wallet-2" && !(resource has address) };
    "#;
    let enclave = Enclave::with(Setup { policy, ..Setup::default() }).await;
    let mut foreign = Foreign::new(Algorithm::Ed25519);
    let statement = statement(&enclave).await;
    let status = import(&enclave, foreign.request(&statement)).await;
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
    foreign.new.wallet = "wallet-2".parse().unwrap();
    enclave.custody().await.import_share(foreign.request(&statement)).await.unwrap();

    let policy = r#"@id("none") permit (principal, action == Action::"ImportShare", resource);"#;
    let enclave = Enclave::with(Setup { policy, ..Setup::default() }).await;
    let mut custody = enclave.custody().await;
    let status = refused(&enclave, custody.get_import_key(proto::GetImportKeyRequest {})).await;
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
}

/// The client's side: nothing is sealed to a key of which nobody knows whose it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_believed_from_the_trusted_key_alone() {
    let (enclave, other) = (Enclave::start().await, Enclave::start().await);
    let answer = enclave.custody().await.get_import_key(proto::GetImportKeyRequest {}).await;
    let note = answer.unwrap().into_inner().statement;
    let trusted = enclave.signing.identity.name().unwrap();
    let now = SystemTime::now();
    Statement::open(&note, trusted, now).unwrap();
    let of = |trusted: &Name| Statement::open(&note, trusted, now).unwrap_err();
    assert!(matches!(of(other.signing.identity.name().unwrap()), StatementError::Note(_)));
    // Its own name with another's key.
    let key = *other.signing.identity.name().unwrap().key();
    let renamed = Name::new(trusted.origin().to_owned(), key);
    assert!(matches!(of(&renamed), StatementError::Note(_)));

    let later = now + import::LIFETIME;
    let expired = Statement::open(&note, trusted, later).unwrap_err();
    assert!(matches!(expired, StatementError::Expired(_)));
    for place in 0..note.len() {
        let mut altered = note.clone().into_bytes();
        altered[place] ^= 1;
        if let Ok(altered) = String::from_utf8(altered) {
            Statement::open(&altered, trusted, now).unwrap_err();
        }
    }
    // What the key also signs.
    enclave.signing.audit.ship().await;
    let checkpoint = enclave.signing.audit.checkpoints().borrow().clone().unwrap();
    trusted.open(&checkpoint).unwrap();
    assert_eq!(Statement::open(&checkpoint, trusted, now).unwrap_err(), StatementError::Form);
    trusted.open(&note).unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sealed_for_another_environment() {
    let enclave = Enclave::start().await;
    let statement = statement(&enclave).await;
    let mut foreign = Foreign::new(Algorithm::Ed25519);
    let seal = |foreign: &Foreign, secret: Vec<u8>| {
        let declared = Declared::new(Algorithm::Ed25519, Some(foreign.public_key), None).unwrap();
        import::seal(Zeroizing::new(secret), &foreign.new, &declared, &statement)
    };
    assert_eq!(seal(&foreign, Vec::new()), Err(SealError::Length));
    assert_eq!(seal(&foreign, vec![0; 65_537]), Err(SealError::Length));
    foreign.new.environment = "production".parse().unwrap();
    let refused = seal(&foreign, vec![1; 32]);
    assert_eq!(refused, Err(SealError::Environment("test".parse().unwrap())));
}
