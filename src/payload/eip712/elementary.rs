//! Values of elementary types: from JSON to the value, and from there to the word
//! that is hashed and the text that policy sees.

use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::{Address, B256, I256, Sign, U256, keccak256};

use super::json::Json;
use crate::payload::Undecodable;

const KIND: Undecodable = Undecodable(
    "a value has the JSON kind of its type: true or false for bool, an integer or a string for integers, else a string",
);
const INTEGER: Undecodable = Undecodable(
    "an integer is decimal without leading zeros, or 0x and 1 to 64 hexadecimal digits, and within its type",
);
const ADDRESS: Undecodable = Undecodable(
    "an address is 0x and 40 hexadecimal digits of one case, or of both with the right EIP-55 checksum",
);
const BYTES: Undecodable =
    Undecodable("bytes are 0x and two hexadecimal digits for each, as many bytes as the type says");

/// Reads a value of an elementary type.
///
/// # Errors
/// It is none, or not written as this module wants it.
pub(super) fn read(kind: &DynSolType, json: &Json<'_>) -> Result<DynSolValue, Undecodable> {
    match (kind, json) {
        (DynSolType::Bool, Json::Bool(value)) => Ok(DynSolValue::Bool(*value)),
        (DynSolType::String, Json::String(text)) => Ok(DynSolValue::String(text.to_string())),
        (DynSolType::Address, Json::String(text)) => address(text).ok_or(ADDRESS),
        (DynSolType::Bytes, Json::String(text)) => bytes(text).map(DynSolValue::Bytes).ok_or(BYTES),
        (DynSolType::FixedBytes(size), Json::String(text)) => {
            let bytes = bytes(text).filter(|bytes| bytes.len() == *size).ok_or(BYTES)?;
            Ok(DynSolValue::FixedBytes(B256::right_padding_from(&bytes), *size))
        }
        (DynSolType::Uint(bits), Json::Integer(text)) => uint(text, *bits).ok_or(INTEGER),
        (DynSolType::Uint(bits), Json::String(text)) => uint(text, *bits).ok_or(INTEGER),
        (DynSolType::Int(bits), Json::Integer(text)) => int(text, *bits).ok_or(INTEGER),
        (DynSolType::Int(bits), Json::String(text)) => int(text, *bits).ok_or(INTEGER),
        _ => Err(KIND),
    }
}

/// The word of a value in the EIP's `encodeData`.
pub(super) fn word(value: &DynSolValue) -> B256 {
    match value {
        DynSolValue::String(text) => keccak256(text),
        DynSolValue::Bytes(bytes) => keccak256(bytes),
        // Every other elementary type is a word.
        other => other.as_word().unwrap_or_default(),
    }
}

/// The only text of a value.
pub(super) fn text(value: DynSolValue) -> String {
    match value {
        DynSolValue::String(text) => text,
        DynSolValue::Address(address) => address.to_checksum(None),
        DynSolValue::Uint(value, _) => value.to_string(),
        DynSolValue::Int(value, _) => value.to_string(),
        DynSolValue::Bool(value) => value.to_string(),
        DynSolValue::Bytes(bytes) => ["0x", &hex::encode(bytes)].concat(),
        DynSolValue::FixedBytes(word, size) => {
            ["0x", &hex::encode(word.get(..size).unwrap_or_default())].concat()
        }
        // No other is made here.
        _ => String::new(),
    }
}

fn address(text: &str) -> Option<DynSolValue> {
    let address = Address::try_from(bytes(text)?.as_slice()).ok()?;
    let has = |case: fn(&u8) -> bool| text.as_bytes().iter().skip(2).any(case);
    let mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    (!mixed || address.to_checksum(None) == text).then_some(DynSolValue::Address(address))
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.strip_prefix("0x")?).ok()
}

fn uint(text: &str, bits: usize) -> Option<DynSolValue> {
    let value = magnitude(text)?;
    (value.bit_len() <= bits).then_some(DynSolValue::Uint(value, bits))
}

fn int(text: &str, bits: usize) -> Option<DynSolValue> {
    let (sign, value) = match text.strip_prefix('-') {
        Some(text) => (Sign::Negative, magnitude(text)?),
        None => (Sign::Positive, magnitude(text)?),
    };
    // A negative integer goes as far as its complement, which is one less; of zero
    // there is none, and no negative zero.
    let complement = if sign.is_negative() { value.checked_sub(U256::ONE)? } else { value };
    let value = I256::checked_from_sign_and_abs(sign, value)?;
    (complement.bit_len() < bits).then_some(DynSolValue::Int(value, bits))
}

fn magnitude(text: &str) -> Option<U256> {
    if let Some(digits) = text.strip_prefix("0x") {
        let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let fits = (1..=64).contains(&digits.len());
        return (plain && fits).then(|| U256::from_str_radix(digits, 16).ok())?;
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = text == "0" || !text.starts_with('0');
    // 2²⁵⁶ − 1 has 78 digits.
    let fits = (1..=78).contains(&text.len());
    (plain && canonical && fits).then(|| U256::from_str_radix(text, 10).ok())?
}
