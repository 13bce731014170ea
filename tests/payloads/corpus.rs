//! The vectors of `tests/vectors/payloads`, whose README says what the fields mean.
//! Numbers are decimal strings, bytes are lower-case hexadecimal with `0x`.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// `evm.json`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evm {
    pub cases: Vec<Case<EvmView>>,
    pub unclear_calls: Vec<UnclearCall>,
}

/// `typed_data.json`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypedData {
    pub cases: Vec<Case<TypedDataView>>,
}

/// `personal.json`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Personal {
    pub cases: Vec<Case<PersonalView>>,
}

/// `solana.json`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Solana {
    pub signers: Vec<Signer>,
    pub cases: Vec<Case<SolanaView>>,
}

/// `refused.json`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    pub cases: Vec<RefusedCase>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case<V> {
    pub name: String,
    pub made_by: String,
    pub payload: String,
    /// None for Solana, which signs the message itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// EVM transactions and typed data only: who reads it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_by: Option<Vec<String>>,
    pub view: V,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvmView {
    #[serde(rename = "type")]
    pub kind: String,
    pub chain_id: String,
    pub nonce: String,
    pub gas_limit: String,
    pub max_fee_per_gas: String,
    pub max_priority_fee_per_gas: Option<String>,
    pub max_fee_per_blob_gas: Option<String>,
    pub to: Option<String>,
    pub value: String,
    pub data_length: usize,
    pub selector: Option<String>,
    pub access_list: Vec<String>,
    pub authorizations: Vec<Authorization>,
    pub blobs: usize,
    pub call: Option<Call>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorization {
    pub chain_id: String,
    pub address: String,
    pub nonce: String,
}

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    pub function: String,
    pub sender: Option<String>,
    pub recipient: Option<String>,
    pub spender: Option<String>,
    pub amount: Option<String>,
    pub approved: Option<bool>,
}

/// Canonical transactions whose calldata begins like a known call and is not its
/// encoding.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnclearCall {
    pub name: String,
    pub made_by: String,
    pub payload: String,
    pub digest: String,
    pub viem: Option<Call>,
    pub ethers: Option<Call>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypedDataView {
    pub domain: Domain,
    pub primary_type: String,
    pub encode_type: String,
    /// Path and value of every leaf; for an array `path[]` and its count before.
    pub fields: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    pub name: Option<String>,
    pub version: Option<String>,
    pub chain_id: Option<String>,
    pub verifying_contract: Option<String>,
    pub salt: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonalView {
    pub length: usize,
    pub text: Option<String>,
}

/// Its seed is published: it guards nothing.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    pub name: String,
    pub seed: String,
    pub address: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SolanaView {
    pub version: String,
    pub fee_payer: String,
    pub accounts: Vec<Account>,
    pub programs: Vec<String>,
    pub lookup_tables: Vec<LookupTable>,
    pub transfers: Vec<Transfer>,
    pub compute_unit_limit: Option<String>,
    pub compute_unit_price: Option<String>,
    pub durable_nonce: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    pub address: String,
    pub signer: bool,
    pub writable: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupTable {
    pub address: String,
    pub writable: Vec<u8>,
    pub readonly: Vec<u8>,
}

/// An address is None where the account comes from a look-up table.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    pub program: String,
    pub source: Option<String>,
    pub destination: Option<String>,
    pub authority: Option<String>,
    pub mint: Option<String>,
    pub amount: String,
}

/// Either `hex` or, for most of EIP-712, `text`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedCase {
    pub kind: String,
    pub group: String,
    pub why: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    pub accepted_by: Vec<String>,
}

/// A file of the folder: `evm.json` and its like.
pub fn read<T: DeserializeOwned>(name: &str) -> T {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/payloads");
    let text = fs::read(Path::new(folder).join(name)).unwrap();
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}
