//! What `types` defines: structs, their members, and the EIP's `encodeType`.
//!
//! Elementary types are alloy's. Its grammar of type names is not used: it takes
//! `uint` for `uint256`, `bytes01` for `bytes1` and `A.B` for `uint8`. Nor is its
//! resolver: it sorts by definition instead of by name, which differs where a name
//! has a `$`, refuses structs that contain each other, and takes seconds for a
//! kilobyte of structs that have two members of the next one's type.

use std::{collections::HashSet, num::NonZeroUsize};

use alloy_dyn_abi::DynSolType;

use super::json::{Json, Object};
use crate::payload::Undecodable;

/// The struct that the domain is one of.
const DOMAIN: &str = "EIP712Domain";

/// The members that the EIP knows for a domain, in its order.
const DOMAIN_MEMBERS: [(&str, &str); 5] = [
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
];

/// How many types there are at most, and members in each.
const TYPES_MAX: usize = 64;

/// The longest `encodeType`, in bytes: it is hashed once for every type in use.
const ENCODE_TYPE_MAX: usize = 8 * 1024;

/// The structs that typed data defines, and its domain's.
pub(super) struct Definitions<'a> {
    /// Sorted by name, but for a domain that is derived, which is the last.
    structs: Vec<Struct<'a>>,
    /// Which of them is the domain's.
    pub(super) domain: usize,
}

struct Struct<'a> {
    name: &'a str,
    members: Vec<Member<'a>>,
    /// The struct alone in `encodeType`.
    encoded: String,
}

/// A member of a struct.
pub(super) struct Member<'a> {
    pub(super) name: &'a str,
    /// The type as it is written, which is how `encodeType` has it.
    written: &'a str,
    pub(super) stem: Stem,
    /// The sizes of the arrays around the stem, the innermost first; none for `[]`.
    pub(super) sizes: Vec<Option<NonZeroUsize>>,
}

/// A type without its arrays.
pub(super) enum Stem {
    Elementary(DynSolType),
    /// The number of a struct.
    Struct(usize),
}

const SHAPE: Undecodable = Undecodable(
    "types is an object of arrays, whose items are objects with the strings name and type alone",
);
const NAME: Undecodable =
    Undecodable("the name of a type or a member is an identifier: letters, digits, _ and $");
const WRITTEN: Undecodable = Undecodable(
    "a member's type is an elementary type of EIP-712 in full (uint256, not uint) or a struct, and then arrays like [] and [2]",
);
const RESERVED: Undecodable =
    Undecodable("no struct may have a name that looks like an elementary type");
const MEMBER_TWICE: Undecodable = Undecodable("no member may stand twice in one struct");
const UNDEFINED: Undecodable = Undecodable("every struct that is referred to must be in types");
const TOO_MANY: Undecodable = Undecodable("there are at most 64 types with at most 64 members");
const TOO_LONG: Undecodable = Undecodable("encodeType of a struct has at most 8,192 bytes");
const DOMAIN_TYPE: Undecodable = Undecodable(
    "EIP712Domain has members of these alone: string name, string version, uint256 chainId, address verifyingContract, bytes32 salt",
);

impl<'a> Definitions<'a> {
    /// Reads `types`. Where it has no `EIP712Domain`, that is derived from the
    /// members of `domain`, in the EIP's order.
    ///
    /// # Errors
    /// A rule of this module is broken.
    pub(super) fn new(types: &'a Object<'_>, domain: &Object<'_>) -> Result<Self, Undecodable> {
        if types.len() > TYPES_MAX {
            return Err(TOO_MANY);
        }
        let names: Vec<_> = types.iter().map(|(name, _)| name).collect();
        let mut structs = Vec::with_capacity(names.len() + 1);
        for (name, members) in types.iter() {
            // A colon is in type names that exchanges use, and nothing else in
            // `encodeType` could be taken for it.
            if !is_identifier(name, ":") {
                return Err(NAME);
            }
            if is_reserved(name) {
                return Err(RESERVED);
            }
            structs.push(Struct::new(name, members_of(members, &names)?));
        }
        let position = names.binary_search(&DOMAIN);
        if position.is_err() {
            let given = DOMAIN_MEMBERS.iter().filter(|(name, _)| domain.get(name).is_some());
            let members = given.map(|(name, written)| Member::new(name, written, &[]));
            structs.push(Struct::new(DOMAIN, members.collect::<Result<_, _>>()?));
        }
        let definitions = Self { domain: position.unwrap_or(names.len()), structs };
        let known = |member: &Member<'_>| DOMAIN_MEMBERS.contains(&(member.name, member.written));
        let standard = definitions.members(definitions.domain).iter().all(known);
        if standard { Ok(definitions) } else { Err(DOMAIN_TYPE) }
    }

    pub(super) fn len(&self) -> usize {
        self.structs.len()
    }

    /// The number of a struct.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.structs.iter().position(|known| known.name == name)
    }

    /// The members of a struct, by its number.
    pub(super) fn members(&self, position: usize) -> &[Member<'a>] {
        self.structs.get(position).map(|known| &*known.members).unwrap_or_default()
    }

    /// The EIP's `encodeType`: the struct, and then those that it refers to, sorted
    /// by name.
    ///
    /// # Errors
    /// It is too long.
    pub(super) fn encode_type(&self, position: usize) -> Result<String, Undecodable> {
        let mut referred = vec![false; self.structs.len()];
        let mut pending = vec![position];
        while let Some(next) = pending.pop() {
            for member in self.members(next) {
                let Stem::Struct(position) = member.stem else { continue };
                let seen = referred.get_mut(position).ok_or(UNDEFINED)?;
                if !std::mem::replace(seen, true) {
                    pending.push(position);
                }
            }
        }
        let others = self
            .structs
            .iter()
            .enumerate()
            .zip(referred)
            .filter_map(|(known, seen)| (seen && known.0 != position).then_some(known.1));
        let mut encode_type = String::new();
        for known in self.structs.get(position).into_iter().chain(others) {
            if encode_type.len() + known.encoded.len() > ENCODE_TYPE_MAX {
                return Err(TOO_LONG);
            }
            encode_type.push_str(&known.encoded);
        }
        Ok(encode_type)
    }
}

impl<'a> Struct<'a> {
    fn new(name: &'a str, members: Vec<Member<'a>>) -> Self {
        let written = members.iter().map(|member| [member.written, " ", member.name].concat());
        let encoded = format!("{name}({})", written.collect::<Vec<_>>().join(","));
        Self { name, members, encoded }
    }
}

impl<'a> Member<'a> {
    /// `names` are those of all structs, sorted.
    fn new(name: &'a str, written: &'a str, names: &[&str]) -> Result<Self, Undecodable> {
        if !is_identifier(name, "") {
            return Err(NAME);
        }
        let (stem, mut arrays) = written.split_at(written.find('[').unwrap_or(written.len()));
        let mut sizes = Vec::new();
        while let Some(rest) = arrays.strip_prefix('[') {
            let (size, rest) = rest.split_once(']').ok_or(WRITTEN)?;
            sizes.push(if size.is_empty() { None } else { Some(array_size(size)?) });
            arrays = rest;
        }
        if !arrays.is_empty() {
            return Err(WRITTEN);
        }
        let stem = match elementary(stem) {
            Some(elementary) => Stem::Elementary(elementary),
            None if is_reserved(stem) => return Err(WRITTEN),
            None => Stem::Struct(names.binary_search(&stem).map_err(|_| UNDEFINED)?),
        };
        Ok(Self { name, written, stem, sizes })
    }
}

fn members_of<'a>(json: &'a Json<'_>, names: &[&str]) -> Result<Vec<Member<'a>>, Undecodable> {
    let Json::Array(items) = json else { return Err(SHAPE) };
    if items.len() > TYPES_MAX {
        return Err(TOO_MANY);
    }
    let mut distinct = HashSet::new();
    let mut members = Vec::with_capacity(items.len());
    for item in items {
        let Json::Object(item) = item else { return Err(SHAPE) };
        let [Some(Json::String(name)), Some(Json::String(written))] =
            item.exactly(["name", "type"])
        else {
            return Err(SHAPE);
        };
        if !distinct.insert(&**name) {
            return Err(MEMBER_TWICE);
        }
        members.push(Member::new(name, written, names)?);
    }
    Ok(members)
}

/// An elementary type of EIP-712, by its only name.
fn elementary(name: &str) -> Option<DynSolType> {
    // What an identifier cannot have would be an array or a tuple to alloy.
    let parsed = is_identifier(name, "").then(|| DynSolType::parse(name).ok())??;
    let canonical = parsed.sol_type_name() == name;
    (canonical && parsed != DynSolType::Function).then_some(parsed)
}

/// Whether a name looks like an elementary type of Solidity, of any width and in
/// any age: wallets take some of them for aliases, and disagree on which.
fn is_reserved(name: &str) -> bool {
    let sized = ["uint", "int", "bytes", "ufixed", "fixed"];
    let width = sized.iter().find_map(|stem| name.strip_prefix(stem));
    matches!(name, "address" | "bool" | "string" | "byte" | "function")
        || width.is_some_and(|width| width.bytes().all(|b| b.is_ascii_digit() || b == b'x'))
}

fn array_size(digits: &str) -> Result<NonZeroUsize, Undecodable> {
    let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain).ok_or(WRITTEN)
}

fn is_identifier(name: &str, also: &str) -> bool {
    let starts = |byte: u8| byte.is_ascii_alphabetic() || b"_$".contains(&byte);
    let continues = |byte: u8| byte.is_ascii_digit() || also.as_bytes().contains(&byte);
    let mut bytes = name.bytes();
    bytes.next().is_some_and(starts) && bytes.all(|byte| starts(byte) || continues(byte))
}
