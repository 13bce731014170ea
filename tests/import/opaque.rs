//! Opaque shares: one party's of a key that signs with others. They come in as they are, are
//! decided, recorded, disabled and destroyed as every share, and sign nothing.

use countersign::{
    import::{self, Declared},
    key::{AccountAddress, Algorithm, Binding},
    proto,
};
use tokio_stream::iter;
use tonic::Code;
use zeroize::Zeroizing;

use super::{Foreign, statement};
use crate::{
    refusals::refused,
    support::{
        enclave::{Enclave, Setup, Share},
        refused::{assert_invalid, assert_refused},
    },
};

fn opaque(algorithm: Algorithm, length: usize) -> Foreign {
    let mut foreign = Foreign::new(algorithm);
    foreign.new.binding = Binding::Declared;
    foreign.secret = b"0123456789abcdef".iter().copied().cycle().take(length).collect();
    foreign
}

async fn import(enclave: &Enclave, foreign: &Foreign, declared: &Declared) -> proto::Share {
    let statement = statement(enclave).await;
    let secret = Zeroizing::new(foreign.secret.clone());
    let sealed = import::seal(secret, &foreign.new, declared, &statement).unwrap();
    let key = declared.public_key().map(|key| key.as_bytes().to_vec()).unwrap_or_default();
    let request = proto::ImportShareRequest {
        public_key: key.into(),
        account_address: declared.address().map(ToString::to_string).unwrap_or_default(),
        sealed_share: sealed.as_bytes().to_vec().into(),
        binding: proto::Binding::Declared.into(),
        ..foreign.request(&statement)
    };
    let imported = enclave.custody().await.import_share(request).await.unwrap();
    imported.into_inner().share.unwrap()
}

fn share(foreign: &Foreign) -> Share {
    Share {
        id: foreign.new.share.to_string(),
        wallet: foreign.new.wallet.to_string(),
        algorithm: foreign.new.algorithm,
        public_key: foreign.public_key,
        address: String::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_come_in_up_to_64_kib_and_sign_nothing() {
    let enclave = Enclave::start().await;
    for (algorithm, length) in [
        (Algorithm::EcdsaSecp256k1, 1),
        (Algorithm::Ed25519, 32),
        (Algorithm::EcdsaSecp256k1, 4097),
        (Algorithm::Ed25519, 65_536),
    ] {
        let foreign = opaque(algorithm, length);
        let address = AccountAddress::of(&foreign.public_key).unwrap();
        // As whoever has the key knows it, and as whoever has its address alone.
        let by_key = Declared::new(algorithm, Some(foreign.public_key), None).unwrap();
        let imported = import(&enclave, &foreign, &by_key).await;
        assert_eq!(imported.binding, i32::from(proto::Binding::Declared));
        let key = imported.public_key.unwrap();
        assert_eq!(&*key.key, foreign.public_key.as_bytes());
        assert_eq!(key.account_address, address.to_string());

        let mut other = foreign.clone();
        other.new.share = countersign::key::ShareId::random();
        let by_address = Declared::new(algorithm, None, Some(address.clone())).unwrap();
        let key = import(&enclave, &other, &by_address).await.public_key.unwrap();
        assert_eq!((&*key.key, &*key.account_address), (&b""[..], address.as_str()));

        for foreign in [&foreign, &other] {
            let share = share(foreign);
            let mut client = enclave.client().await;
            let status = refused(&enclave, client.sign(share.sign_request(1))).await;
            assert_refused(&status, Code::FailedPrecondition, "SHARE_OPAQUE");
            let stream = client.use_share(iter([share.open()])).await.unwrap();
            let status = stream.into_inner().message().await.unwrap_err();
            assert_refused(&status, Code::FailedPrecondition, "SHARE_OPAQUE");
            let read = proto::GetPublicKeyRequest { share_id: share.id, wallet_id: share.wallet };
            client.get_public_key(read).await.unwrap();
        }
    }
    assert_eq!(enclave.signing.enclave.pool().free(), enclave.slots);
}

/// Policy sees what they are; the rest of their life is every share's.
#[tokio::test(flavor = "multi_thread")]
async fn they_are_decided_and_destroyed_as_every_share() {
    let policy = r#"
        @id("opaque-only") permit (principal, action == Action::"ImportShare", resource)
        when { resource.binding == "declared" };
        @id("the-rest") permit (principal, action, resource)
        unless { action == Action::"ImportShare" };
    "#;
    let enclave = Enclave::with(Setup { policy, ..Setup::default() }).await;
    let mut custody = enclave.custody().await;
    let whole = Foreign::new(Algorithm::Ed25519);
    let request = whole.request(&statement(&enclave).await);
    let status = refused(&enclave, custody.import_share(request)).await;
    assert_refused(&status, Code::PermissionDenied, "POLICY_DENIED");
    let foreign = opaque(Algorithm::Ed25519, 1000);
    let declared = foreign.declared();
    import(&enclave, &foreign, &declared).await;
    let share_id = foreign.new.share.to_string();
    let reason = "the wallet moved".to_owned();
    let disable = proto::DisableShareRequest { share_id: share_id.clone(), ..Default::default() };
    custody.disable_share(disable).await.unwrap();
    let schedule = proto::ScheduleDestructionRequest {
        share_id: share_id.clone(),
        reason: reason.clone(),
        ..Default::default()
    };
    custody.schedule_destruction(schedule).await.unwrap();
    let destroy = proto::DestroyShareRequest { share_id, reason, ..Default::default() };
    custody.destroy_share(destroy).await.unwrap();
}

/// An opaque share is none that signs alone, and the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_sealed_as_one_is_not_taken_for_the_other() {
    let enclave = Enclave::start().await;
    let mut custody = enclave.custody().await;
    for binding in [Binding::Derived, Binding::Declared] {
        let mut foreign = Foreign::new(Algorithm::Ed25519);
        foreign.new.binding = binding;
        let other = match binding {
            Binding::Derived => proto::Binding::Declared,
            Binding::Declared => proto::Binding::Derived,
        };
        let statement = statement(&enclave).await;
        let request =
            proto::ImportShareRequest { binding: other.into(), ..foreign.request(&statement) };
        let status = refused(&enclave, custody.import_share(request)).await;
        assert_refused(&status, Code::InvalidArgument, "IMPORT_UNOPENED");
    }
    let mut request = opaque(Algorithm::Ed25519, 10).request(&statement(&enclave).await);
    request.binding = 3;
    assert_invalid(&refused(&enclave, custody.import_share(request)).await, "binding");
    // Nothing is known of whose it would be.
    let mut request = opaque(Algorithm::Ed25519, 10).request(&statement(&enclave).await);
    request.binding = proto::Binding::Declared.into();
    request.public_key = Vec::new().into();
    assert_invalid(&refused(&enclave, custody.import_share(request)).await, "public_key");
}

/// Nothing is derived from them there either, and they stay as long as they are.
#[tokio::test(flavor = "multi_thread")]
async fn they_are_sealed_anew_as_they_are() {
    let enclave = Enclave::start().await;
    for length in [1, 65_536] {
        let foreign = opaque(Algorithm::EcdsaSecp256k1, length);
        let declared = Declared::new(foreign.new.algorithm, Some(foreign.public_key), None);
        let imported = import(&enclave, &foreign, &declared.unwrap()).await;
        for version in [2, 3] {
            let request =
                proto::ReencryptShareRequest { share_id: share(&foreign).id, ..Default::default() };
            let resealed = enclave.custody().await.reencrypt_share(request).await.unwrap();
            let resealed = resealed.into_inner().share.unwrap();
            assert_eq!(resealed.binding, i32::from(proto::Binding::Declared));
            let key = resealed.public_key.unwrap();
            assert_eq!(key.record_version, version);
            assert_eq!(key.key, imported.public_key.as_ref().unwrap().key);
        }
    }
    assert_eq!(enclave.signing.enclave.pool().free(), enclave.slots);
}
