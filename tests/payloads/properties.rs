//! What is signed and what policy sees go together: no two views of one signature, and
//! no change of what policy sees that is not a change of what is signed.

use std::{ops::Range, rc::Rc};

use alloy_rlp::Header;
use countersign::{
    payload::{Payload, PayloadKind},
    policy::{self, amount::AmountLimits},
};
use proptest::{prelude::*, sample::Index};
use serde_json::Value;

use super::{
    corpus::{self, Case},
    decoded,
};

/// What another payload is, compared with the one it was made from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Refused,
    None,
    SignedAndSeen,
    SignedOnly,
    SeenOnly,
}

/// A payload of the corpus.
struct Original {
    name: String,
    kind: PayloadKind,
    bytes: Vec<u8>,
}

fn originals<V>(kind: PayloadKind, cases: &[Case<V>]) -> Vec<Original> {
    let original = |case: &Case<V>| Original {
        name: case.name.clone(),
        kind,
        bytes: decoded::bytes(kind, &case.payload).to_vec(),
    };
    cases.iter().map(original).collect()
}

fn transactions() -> Vec<Original> {
    originals(PayloadKind::EvmTransaction, &corpus::read::<corpus::Evm>("evm.json").cases)
}

fn typed_data() -> Vec<Original> {
    originals(PayloadKind::Eip712, &corpus::read::<corpus::TypedData>("typed_data.json").cases)
}

fn personal() -> Vec<Original> {
    originals(PayloadKind::Eip191, &corpus::read::<corpus::Personal>("personal.json").cases)
}

fn solana() -> Vec<Original> {
    originals(PayloadKind::SolanaMessage, &corpus::read::<corpus::Solana>("solana.json").cases)
}

impl Original {
    fn decode(&self) -> Payload {
        let payload = Payload::decode(self.kind, self.bytes.clone().into());
        payload.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    fn change(&self, bytes: Vec<u8>) -> Change {
        let Ok(other) = Payload::decode(self.kind, bytes.into()) else { return Change::Refused };
        let this = self.decode();
        let view = |payload| policy::view(payload, &AmountLimits::default());
        let signed = *this.signed_bytes() != *other.signed_bytes();
        match (signed, view(&this) != view(&other)) {
            (false, false) => Change::None,
            (true, true) => Change::SignedAndSeen,
            (true, false) => Change::SignedOnly,
            (false, true) => Change::SeenOnly,
        }
    }

    /// Where the bytes stand that policy sees.
    fn exposed(&self) -> Vec<Range<usize>> {
        let mut exposed = match self.decode() {
            Payload::EvmTransaction(_) => self.exposed_fields(),
            Payload::SolanaMessage(_) => self.exposed_accounts(),
            Payload::Eip191(message) if message.text().is_none() => Vec::new(),
            // Its first 32 bytes.
            Payload::Message(message) => vec![Range { start: 0, end: message.len().min(32) }],
            _ => vec![Range { start: 0, end: self.bytes.len() }],
        };
        exposed.retain(|field| !field.is_empty());
        exposed
    }

    /// Every number and address; of the data the selector, and the arguments where policy
    /// sees them all.
    fn exposed_fields(&self) -> Vec<Range<usize>> {
        let Payload::EvmTransaction(transaction) = self.decode() else { panic!() };
        // After the type comes a list, in which the data stands before the access list.
        let (list, data) = match self.bytes[0] {
            1 => (1, 6),
            2..=4 => (1, 7),
            _ => (0, 5),
        };
        let [fields] = &*self.items(list..self.bytes.len()) else { panic!() };
        let fields = self.items(fields.clone());
        let whole = ["transfer(address,uint256)", "approve(address,uint256)"];
        let whole = transaction.call.is_some_and(|call| whole.contains(&call.function));
        let mut exposed = fields[..data].to_vec();
        if transaction.selector.is_some() {
            let Range { start, end } = fields[data];
            exposed.push(start..if whole { end } else { start + 4 });
        }
        match self.bytes[0] {
            3 => exposed.push(fields[9].clone()),
            4 => {
                for authorization in self.items(fields[9].clone()) {
                    exposed.extend_from_slice(&self.items(authorization)[..3]);
                }
            }
            _ => {}
        }
        if list == 0 {
            // EIP-155: the chain id, and two empty numbers.
            exposed.push(fields[6].clone());
        } else {
            let access_list = self.items(fields[data + 1].clone());
            exposed.extend(access_list.into_iter().map(|entry| self.items(entry)[0].clone()));
        }
        exposed
    }

    /// Where the payloads of RLP items stand.
    fn items(&self, Range { start, end }: Range<usize>) -> Vec<Range<usize>> {
        let mut rest = &self.bytes[start..end];
        let mut items = Vec::new();
        while !rest.is_empty() {
            let header = Header::decode(&mut rest).unwrap();
            let start = end - rest.len();
            items.push(start..start + header.payload_length);
            rest = &rest[header.payload_length..];
        }
        items
    }

    /// Every account's address, and every amount that is long enough to be found.
    fn exposed_accounts(&self) -> Vec<Range<usize>> {
        let Payload::SolanaMessage(message) = self.decode() else { panic!() };
        let addresses = message.accounts.iter().map(|account| account.address.to_string());
        let addresses = addresses.map(|address| bs58::decode(address).into_vec().unwrap());
        let amounts = message.transfers.iter().map(|transfer| transfer.amount);
        let amounts = amounts.filter(|amount| *amount > u64::from(u32::MAX));
        let values = addresses.chain(amounts.map(|amount| amount.to_le_bytes().to_vec()));
        values
            .filter_map(|value| {
                let length = value.len();
                let found = |window: &(usize, &[u8])| window.1 == value;
                let mut places = self.bytes.windows(length).enumerate().filter(found);
                let (at, _) = places.next()?;
                places.next().is_none().then_some(at..at + length)
            })
            .collect()
    }
}

thread_local! {
    static ALL: Rc<[Original]> = all();
}

/// Every payload of the corpus, and bare messages.
fn all() -> Rc<[Original]> {
    let messages = [1, 31, 32, 33, 200].map(|length| Original {
        name: format!("{length} bytes"),
        kind: PayloadKind::Message,
        bytes: (0..length).collect(),
    });
    let corpus = [transactions(), typed_data(), personal(), solana()].into_iter().flatten();
    corpus.chain(messages).collect()
}

/// `types.EIP712Domain`: the order of its members and the width of the chain id are signed
/// and not seen.
fn domain_type(text: &[u8]) -> Option<Value> {
    let typed_data: Value = serde_json::from_slice(text).ok()?;
    typed_data.pointer("/types/EIP712Domain").cloned()
}

/// With the members of every object in the opposite order.
fn reversed(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(reversed).collect(),
        Value::Object(members) => {
            members.into_iter().rev().map(|(name, value)| (name, reversed(value))).collect()
        }
        value => value,
    }
}

/// A domain whose type was declared in another order, and the same domain without that
/// declaration: two messages that a policy cannot tell apart, about the same contract.
#[test]
fn the_declaration_of_a_domain_is_signed_and_not_seen() {
    let all = ALL.with(Rc::clone);
    let original = all.iter().find(|one| one.name.starts_with("a domain in another order"));
    let original = original.unwrap();
    let text = String::from_utf8(original.bytes.clone()).unwrap();
    let undeclared = text.replace("EIP712Domain", "CIP712Domain");
    assert_eq!(original.change(undeclared.into_bytes()), Change::SignedOnly);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever the bytes become.
    #[test]
    fn one_signature_has_one_view(which: Index, at: Index, edit in 0..4, byte: u8) {
        let all = ALL.with(Rc::clone);
        let original = which.get(&all);
        let mut bytes = original.bytes.clone();
        let at = at.index(bytes.len().max(1));
        match edit {
            0 if !bytes.is_empty() => bytes[at] ^= byte,
            1 if !bytes.is_empty() => drop(bytes.remove(at)),
            2 => bytes.insert(at, byte),
            _ => bytes.truncate(at),
        }
        let same = bytes == original.bytes;
        let same_domain_type = domain_type(&bytes) == domain_type(&original.bytes);
        let change = original.change(bytes);
        let text = original.kind == PayloadKind::Eip712;
        match change {
            Change::SeenOnly => prop_assert!(false, "{}", original.name),
            // One text of several that say the same.
            Change::None => prop_assert!(same || text, "{}", original.name),
            // Typed data shows all that it signs, but how its domain's type was declared.
            Change::SignedOnly => {
                prop_assert!(!text || !same_domain_type, "{}", original.name);
            }
            Change::SignedAndSeen | Change::Refused => {}
        }
    }

    /// Typed data in other words: another order of keys, another spacing.
    #[test]
    fn typed_data_in_other_words_is_the_same(which: Index, pretty: bool) {
        let all = ALL.with(Rc::clone);
        let texts: Vec<_> = all.iter().filter(|one| one.kind == PayloadKind::Eip712).collect();
        let original = which.get(&texts);
        let value = reversed(serde_json::from_slice(&original.bytes).unwrap());
        let other = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
        let other = other.unwrap();
        prop_assert_ne!(&other, &original.bytes);
        prop_assert_eq!(original.change(other), Change::None, "{}", original.name);
    }

    /// A byte that policy sees, changed: so are the signature and the view, or it is
    /// refused.
    #[test]
    fn what_policy_sees_is_signed(which: Index, field: Index, byte: Index, flip in 1_u8..) {
        let all = ALL.with(Rc::clone);
        let seen: Vec<_> = all.iter().filter(|one| one.kind != PayloadKind::Eip712).collect();
        let original = which.get(&seen);
        let fields = original.exposed();
        prop_assume!(!fields.is_empty());
        let field = field.get(&fields);
        let mut bytes = original.bytes.clone();
        bytes[field.start + byte.index(field.len())] ^= flip;
        let change = original.change(bytes);
        prop_assert!(
            matches!(change, Change::Refused | Change::SignedAndSeen),
            "{change:?}: {}, a byte of {field:?}", original.name
        );
    }
}
