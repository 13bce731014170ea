//! Domain values as messages of the contract.

use bytes::Bytes;
use tonic::{Request, Status};

use crate::{
    audit::receipt::Receipt,
    caller::Call,
    key::{AccountAddress, Algorithm, Binding, ShareState},
    proto,
    record::ShareDescription,
    sign::Encoding,
    signature,
};

/// The call that the gate attached, and the message.
///
/// # Errors
/// Never behind a gate; without one nothing is served.
pub(super) fn call<T>(request: Request<T>) -> Result<(Call, T), Status> {
    let (_, mut extensions, message) = request.into_parts();
    let call =
        extensions.remove::<Call>().ok_or_else(|| Status::internal("the service has no gate"))?;
    Ok((call, message))
}

pub(super) fn algorithm(algorithm: Algorithm) -> proto::Algorithm {
    match algorithm {
        Algorithm::Ed25519 => proto::Algorithm::Ed25519,
        Algorithm::EcdsaSecp256k1 => proto::Algorithm::EcdsaSecp256k1,
        Algorithm::EcdsaP256 => proto::Algorithm::EcdsaP256,
        Algorithm::SchnorrSecp256k1 => proto::Algorithm::SchnorrSecp256k1,
    }
}

pub(super) fn signature(signed: &signature::Signed, encoding: Encoding) -> proto::Signature {
    let raw = || signed.signature.bytes.to_vec();
    let (value, encoding) = match encoding {
        Encoding::Raw => (raw(), proto::SignatureEncoding::Raw),
        // The stories refuse DER where it does not exist, before anything is signed.
        Encoding::Der => match signature::der(signed.algorithm, &signed.signature) {
            Some(der) => (der, proto::SignatureEncoding::Der),
            None => (raw(), proto::SignatureEncoding::Raw),
        },
    };
    proto::Signature {
        value: value.into(),
        encoding: encoding.into(),
        recovery_id: signed.signature.recovery_id.map(u32::from),
        v: signed.v,
    }
}

pub(super) fn public_key(share: &ShareDescription) -> proto::PublicKey {
    let identity = &share.identity;
    let state = match share.state {
        ShareState::Enabled => proto::ShareState::Enabled,
        ShareState::Disabled => proto::ShareState::Disabled,
    };
    proto::PublicKey {
        share_id: identity.share.to_string(),
        wallet_id: identity.wallet.to_string(),
        algorithm: algorithm(identity.algorithm).into(),
        key: share.public_key.as_bytes().to_vec().into(),
        account_address: address(identity.address.as_ref()),
        state: state.into(),
        record_version: identity.version.get(),
    }
}

/// Empty where there is none.
pub(super) fn address(address: Option<&AccountAddress>) -> String {
    address.map(ToString::to_string).unwrap_or_default()
}

pub(super) fn share(share: &ShareDescription) -> proto::Share {
    proto::Share {
        public_key: Some(public_key(share)),
        environment: share.identity.environment.to_string(),
        binding: proto::Binding::from(share.identity.binding).into(),
        kek: share.kek.to_string(),
        create_time: Some(share.created_at.into()),
        revision: share.revision.get(),
        destroy_after: share.destroy_after.map(Into::into),
    }
}

impl From<Binding> for proto::Binding {
    fn from(binding: Binding) -> Self {
        match binding {
            Binding::Derived => Self::Derived,
            Binding::Declared => Self::Declared,
        }
    }
}

impl From<Receipt> for proto::Receipt {
    fn from(receipt: Receipt) -> Self {
        let Receipt { sequence, record, path, checkpoint, signature_recorded } = receipt;
        // One allocation for all hashes.
        let mut hashes = Bytes::from([&[record], &*path].concat().concat());
        let record_hash = hashes.split_to(record.len());
        Self {
            sequence,
            record_hash,
            path: path.iter().map(|hash| hashes.split_to(hash.len())).collect(),
            checkpoint: checkpoint.to_string(),
            signature_recorded,
        }
    }
}
