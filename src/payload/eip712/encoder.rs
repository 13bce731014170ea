//! The EIP's `hashStruct`, and what it hashed: one pass over the values yields
//! both, so that policy cannot see another value than the digest has.

use std::{
    fmt::{self, Write as _},
    num::NonZeroUsize,
};

use alloy_dyn_abi::DynSolValue;
use alloy_primitives::{B256, U256, keccak256};

use super::{
    definition::{Definitions, Stem},
    elementary,
    json::Json,
};
use crate::payload::Undecodable;

/// How many fields a message has at most, and how many structs.
const FIELDS_MAX: usize = 4096;

/// The longest path of a field, in bytes: a caller chooses the names, and every
/// field repeats those that lead to it.
const PATH_MAX: usize = 256;

/// A pass over one struct.
pub(super) struct Encoder<'t> {
    definitions: &'t Definitions<'t>,
    /// By the number of the struct, where one was seen: a type is hashed once, and
    /// not for each of its values.
    type_hashes: Vec<Option<B256>>,
    /// Where the pass is.
    path: String,
    fields: Vec<(String, DynSolValue)>,
    structs: usize,
}

const MEMBERS: Undecodable = Undecodable(
    "a struct is a JSON object with exactly the members of its type, in domain and message alike",
);
const ARRAY: Undecodable =
    Undecodable("an array is a JSON array, with as many items as its type says");
const TOO_MANY: Undecodable = Undecodable("a message has at most 4,096 fields and as many structs");
const TOO_LONG: Undecodable =
    Undecodable("the names that lead to a field have at most 256 bytes together");

impl<'t> Encoder<'t> {
    pub(super) fn new(definitions: &'t Definitions<'t>) -> Self {
        Self {
            definitions,
            type_hashes: vec![None; definitions.len()],
            path: String::new(),
            fields: Vec::new(),
            structs: 0,
        }
    }

    /// The fields seen so far: paths and values, in the order of the types. An
    /// array is a field too, its path followed by `[]` and its value the number of
    /// items, and stands before them.
    pub(super) fn into_fields(self) -> Vec<(String, DynSolValue)> {
        self.fields
    }

    /// `hashStruct` of a struct by its number: the Keccak-256 of its type hash and
    /// one word for each member.
    ///
    /// # Errors
    /// The JSON is no value of the type, or one beyond the limits.
    pub(super) fn hash_struct(
        &mut self,
        position: usize,
        json: &Json<'_>,
    ) -> Result<B256, Undecodable> {
        self.structs += 1;
        if self.structs > FIELDS_MAX {
            return Err(TOO_MANY);
        }
        let members = self.definitions.members(position);
        let Json::Object(object) = json else { return Err(MEMBERS) };
        if object.len() != members.len() {
            return Err(MEMBERS);
        }
        let mut data = Vec::with_capacity(32 * (members.len() + 1));
        data.extend(self.type_hash(position)?);
        for member in members {
            let value = object.get(member.name).ok_or(MEMBERS)?;
            let dot = if self.path.is_empty() { "" } else { "." };
            let parent = self.enter(format_args!("{dot}{}", member.name))?;
            data.extend(self.word(&member.stem, &member.sizes, value)?);
            self.path.truncate(parent);
        }
        Ok(keccak256(data))
    }

    /// A member's word in `encodeData`.
    fn word(
        &mut self,
        stem: &Stem,
        sizes: &[Option<NonZeroUsize>],
        json: &Json<'_>,
    ) -> Result<B256, Undecodable> {
        let Some((size, inner)) = sizes.split_last() else {
            return match stem {
                Stem::Struct(position) => self.hash_struct(*position, json),
                Stem::Elementary(kind) => {
                    let value = elementary::read(kind, json)?;
                    let word = elementary::word(&value);
                    self.add(value)?;
                    Ok(word)
                }
            };
        };
        let Json::Array(items) = json else { return Err(ARRAY) };
        if size.is_some_and(|size| size.get() != items.len()) {
            return Err(ARRAY);
        }
        let array = self.enter(format_args!("[]"))?;
        self.add(DynSolValue::Uint(U256::from(items.len()), 256))?;
        self.path.truncate(array);
        let mut data = Vec::with_capacity(32 * items.len());
        for (index, item) in items.iter().enumerate() {
            self.enter(format_args!("[{index}]"))?;
            data.extend(self.word(stem, inner, item)?);
            self.path.truncate(array);
        }
        Ok(keccak256(data))
    }

    fn type_hash(&mut self, position: usize) -> Result<B256, Undecodable> {
        if let Some(Some(known)) = self.type_hashes.get(position) {
            return Ok(*known);
        }
        let hash = keccak256(self.definitions.encode_type(position)?);
        if let Some(known) = self.type_hashes.get_mut(position) {
            *known = Some(hash);
        }
        Ok(hash)
    }

    /// Lengthens the path; the answer is the length to go back to.
    fn enter(&mut self, step: fmt::Arguments<'_>) -> Result<usize, Undecodable> {
        let parent = self.path.len();
        // Writing to a String does not fail.
        let _ = self.path.write_fmt(step);
        if self.path.len() > PATH_MAX { Err(TOO_LONG) } else { Ok(parent) }
    }

    fn add(&mut self, value: DynSolValue) -> Result<(), Undecodable> {
        if self.fields.len() == FIELDS_MAX {
            return Err(TOO_MANY);
        }
        self.fields.push((self.path.clone(), value));
        Ok(())
    }
}
