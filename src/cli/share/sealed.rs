//! A sealed share as a file: the request `ImportShare` as protobuf's JSON, so that any gRPC
//! client can submit it.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    cli::{failure::Failure, input::read},
    import::{Declared, SEALED_MAX, Sealed, Statement},
    policy::NewShare,
    proto,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    import_key: String,
    environment: String,
    share_id: String,
    wallet_id: String,
    algorithm: String,
    binding: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    public_key: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    account_address: String,
    sealed_share: String,
}

impl Document {
    pub(super) fn new(
        statement: &Statement,
        new: &NewShare,
        declared: &Declared,
        sealed: &Sealed,
    ) -> Self {
        let algorithm = proto::Algorithm::try_from(i32::from(new.algorithm.number()));
        let key = declared.public_key().map(|key| STANDARD.encode(key.as_bytes()));
        let address = declared.address().map(ToString::to_string);
        Self {
            import_key: STANDARD.encode(statement.key),
            environment: new.environment.to_string(),
            share_id: new.share.to_string(),
            wallet_id: new.wallet.to_string(),
            algorithm: algorithm.unwrap_or_default().as_str_name().to_owned(),
            binding: proto::Binding::from(new.binding).as_str_name().to_owned(),
            public_key: key.unwrap_or_default(),
            account_address: address.unwrap_or_default(),
            sealed_share: STANDARD.encode(sealed.as_bytes()),
        }
    }

    /// Reads a file, or standard input for `-`.
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        // Base64 and the names are less than as much again.
        let bytes = read(file, 2 * SEALED_MAX).map_err(|error| Failure::at(file, &error))?;
        serde_json::from_slice(&bytes).map_err(|error| Failure::at(file, &error))
    }

    pub(super) fn request(self) -> Result<proto::ImportShareRequest, Failure> {
        let bytes = |field: &str, text: &str| {
            let bytes = STANDARD.decode(text).map(Into::into);
            bytes.map_err(|_| Failure::new(format!("{field} is no base64")))
        };
        let algorithm = proto::Algorithm::from_str_name(&self.algorithm);
        let algorithm =
            algorithm.ok_or_else(|| Failure::new("algorithm is none of the contract"))?;
        let binding = proto::Binding::from_str_name(&self.binding);
        let binding = binding.ok_or_else(|| Failure::new("binding is none of the contract"))?;
        Ok(proto::ImportShareRequest {
            import_key: bytes("import_key", &self.import_key)?,
            public_key: bytes("public_key", &self.public_key)?,
            sealed_share: bytes("sealed_share", &self.sealed_share)?,
            environment: self.environment,
            share_id: self.share_id,
            wallet_id: self.wallet_id,
            algorithm: algorithm.into(),
            binding: binding.into(),
            account_address: self.account_address,
        })
    }
}
