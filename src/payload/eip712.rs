//! EIP-712 typed data, as the JSON that wallets send (`eth_signTypedData_v4`).
//!
//! JSON goes in, and one pass over it by the types yields digest and fields. What
//! stands twice is refused, and so is what the types do not list: it would be in
//! the JSON, where a signer might believe it, and not in the digest.
#![forbid(unsafe_code)]

mod definition;
mod elementary;
mod encoder;
mod json;
#[cfg(test)]
mod tests;

use alloy_dyn_abi::DynSolValue;
use alloy_primitives::{Address, U256, keccak256};

use self::{definition::Definitions, encoder::Encoder, json::Json};
use super::Undecodable;

/// The longest typed data, in bytes of JSON.
pub const TYPED_DATA_MAX: usize = 64 * 1024;

/// `encodeType` of ERC-2612's permit.
const PERMIT: &str =
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)";

/// Decoded typed data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedData {
    /// What is signed: the Keccak-256 of `0x19 0x01`, the domain separator and the
    /// message's `hashStruct`.
    pub digest: [u8; 32],
    /// For whom the signature is meant.
    pub domain: Domain,
    /// The name of the message's type.
    pub primary_type: Box<str>,
    /// The message's type in full, with every struct in it (the EIP's `encodeType`).
    pub encode_type: Box<str>,
    /// The message, in the order of its types: a path as `to[0].wallet`, and the
    /// value as its only text. Addresses have their EIP-55 checksum, integers are
    /// decimal, bytes are `0x` and lower-case hexadecimal, strings are as they are.
    /// Each array has a path that ends in `[]`, and there the number of its items.
    pub fields: Vec<(String, String)>,
    /// The message as a permit of ERC-2612, if its type is exactly that.
    pub permit: Option<Permit>,
}

/// The members of a domain, none where its type does not have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domain {
    /// The name that users know.
    pub name: Option<String>,
    /// The version of the domain.
    pub version: Option<String>,
    /// The EIP-155 chain id, at most 2⁶³ − 1.
    pub chain_id: Option<u64>,
    /// The contract that will verify the signature.
    pub verifying_contract: Option<Address>,
    /// What else tells domains apart.
    pub salt: Option<[u8; 32]>,
}

/// A permit to spend tokens (ERC-2612).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// Whose tokens.
    pub owner: Address,
    /// Who may spend them.
    pub spender: Address,
    /// How many, in the token's smallest unit.
    pub value: U256,
    /// The owner's permit counter.
    pub nonce: U256,
    /// Until when, in seconds since the Unix epoch.
    pub deadline: U256,
}

const SIZE: Undecodable = Undecodable("typed data has 1 to 65,536 bytes of UTF-8");
const OUTERMOST: Undecodable = Undecodable(
    "typed data is an object of types, domain, primaryType and message, and of nothing else",
);
const UNDEFINED: Undecodable = Undecodable("primaryType is one of types");
const DOMAIN_ALONE: Undecodable = Undecodable("primaryType cannot be EIP712Domain");
const CHAIN_ID: Undecodable = Undecodable("a chain id is at most 2^63 - 1");

impl TypedData {
    /// Decodes JSON of 1 to [`TYPED_DATA_MAX`] bytes.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn decode(json: &[u8]) -> Result<Self, Undecodable> {
        if !(1..=TYPED_DATA_MAX).contains(&json.len()) {
            return Err(SIZE);
        }
        let json = json::parse(str::from_utf8(json).map_err(|_| SIZE)?)?;
        let Json::Object(outermost) = &json else { return Err(OUTERMOST) };
        let [
            Some(Json::Object(types)),
            Some(domain @ Json::Object(domain_members)),
            Some(Json::String(primary_type)),
            Some(message),
        ] = outermost.exactly(["types", "domain", "primaryType", "message"])
        else {
            return Err(OUTERMOST);
        };
        let definitions = Definitions::new(types, domain_members)?;
        let primary = definitions.position(primary_type).ok_or(UNDEFINED)?;
        if primary == definitions.domain {
            return Err(DOMAIN_ALONE);
        }

        let mut encoder = Encoder::new(&definitions);
        let separator = encoder.hash_struct(definitions.domain, domain)?;
        let domain = Domain::new(encoder.into_fields())?;

        let mut encoder = Encoder::new(&definitions);
        let hash = encoder.hash_struct(primary, message)?;
        let fields = encoder.into_fields();
        let encode_type = definitions.encode_type(primary)?;
        Ok(Self {
            digest: keccak256([b"\x19\x01", &separator[..], &hash[..]].concat()).0,
            domain,
            permit: Permit::new(&encode_type, &fields),
            primary_type: (&**primary_type).into(),
            encode_type: encode_type.into(),
            fields: fields
                .into_iter()
                .map(|(path, value)| (path, elementary::text(value)))
                .collect(),
        })
    }
}

impl Domain {
    fn new(fields: Vec<(String, DynSolValue)>) -> Result<Self, Undecodable> {
        let mut domain = Self::default();
        for (path, value) in fields {
            match (path.as_str(), value) {
                ("name", DynSolValue::String(name)) => domain.name = Some(name),
                ("version", DynSolValue::String(version)) => domain.version = Some(version),
                ("chainId", DynSolValue::Uint(id, _)) => {
                    let id = i64::try_from(id).ok().and_then(|id| u64::try_from(id).ok());
                    domain.chain_id = Some(id.ok_or(CHAIN_ID)?);
                }
                ("verifyingContract", DynSolValue::Address(contract)) => {
                    domain.verifying_contract = Some(contract);
                }
                ("salt", DynSolValue::FixedBytes(salt, 32)) => domain.salt = Some(salt.0),
                // The definitions let no other member through.
                _ => {}
            }
        }
        Ok(domain)
    }
}

impl Permit {
    fn new(encode_type: &str, fields: &[(String, DynSolValue)]) -> Option<Self> {
        let [
            (_, DynSolValue::Address(owner)),
            (_, DynSolValue::Address(spender)),
            (_, DynSolValue::Uint(value, _)),
            (_, DynSolValue::Uint(nonce, _)),
            (_, DynSolValue::Uint(deadline, _)),
        ] = fields
        else {
            return None;
        };
        let (owner, spender, value) = (*owner, *spender, *value);
        let permit = Self { owner, spender, value, nonce: *nonce, deadline: *deadline };
        (encode_type == PERMIT).then_some(permit)
    }
}
