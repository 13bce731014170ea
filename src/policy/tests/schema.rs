//! The schema and the code name the same attributes, of the same types.

use std::{collections::BTreeSet, time::SystemTime};

use alloy_primitives::U256;
use cedar_policy::SchemaFragment;
use serde_json::Value;

use super::cast::{caller, share, solana, transaction, typed_data};
use crate::{
    payload::{Payload, PayloadKind, evm::TransactionKind},
    policy::{
        Action, ActionName, Facts, ListShares, Policy, SCHEMA, Set, ShareSubject, Sign, Tags,
        UseShare,
        amount::{AmountLimit, Unit},
    },
};

/// Attributes by path, with their types.
type Paths = BTreeSet<String>;

fn schema() -> Value {
    let (fragment, _) = SchemaFragment::from_cedarschema_str(SCHEMA).unwrap();
    fragment.to_json_value().unwrap()[""].take()
}

/// What a type of the schema holds.
fn declared(schema: &Value, path: &str, is: &Value, paths: &mut Paths) {
    let name = is["name"].as_str().or(is["type"].as_str()).unwrap();
    match name.trim_start_matches("__cedar::") {
        "Record" => {
            for (name, is) in is["attributes"].as_object().unwrap() {
                declared(schema, &format!("{path}.{name}"), is, paths);
            }
        }
        "Set" => declared(schema, &format!("{path}[]"), &is["element"], paths),
        name => match schema["commonTypes"].get(name) {
            Some(is) => declared(schema, path, is, paths),
            None => drop(paths.insert(format!("{path}: {name}"))),
        },
    }
}

/// What a value holds.
fn seen(path: &str, value: &Value, paths: &mut Paths) {
    let name = match value {
        Value::Object(members) => match members.get("__entity") {
            Some(entity) => entity["type"].as_str().unwrap(),
            None => {
                for (name, value) in members {
                    seen(&format!("{path}.{name}"), value, paths);
                }
                return;
            }
        },
        Value::Array(items) => {
            return items.iter().for_each(|item| seen(&format!("{path}[]"), item, paths));
        }
        Value::String(_) => "String",
        Value::Number(_) => "Long",
        Value::Bool(_) => "Bool",
        Value::Null => panic!("{path} is nothing"),
    };
    paths.insert(format!("{path}: {name}"));
}

/// A policy set that knows of a limit which everything with an amount stays within.
fn policy() -> Policy {
    let limit =
        AmountLimit { name: "any".into(), unit: Unit::Wei { chain_id: None }, at_most: U256::MAX };
    let facts = Facts { limits: [limit].into_iter().collect(), ..Facts::default() };
    Policy::parse([]).unwrap().with(facts)
}

/// The context of an action.
fn context<A: Action>(policy: &Policy, subject: &A::Subject, action: &A, paths: &mut Paths) {
    let caller = caller("app", &["apps"]);
    let question =
        policy.ask(SystemTime::now(), &caller, subject, action.name(), action.payload()).unwrap();
    seen("", &question.request.context().unwrap().to_json_value().unwrap(), paths);
}

fn decode(kind: PayloadKind, bytes: &'static [u8]) -> Payload {
    Payload::decode(kind, bytes.into()).unwrap()
}

/// Between them they fill every optional attribute.
fn payloads() -> Vec<Payload> {
    use TransactionKind::{AccessList, Blob, DynamicFee, Legacy, SetCode};

    let transactions = [Legacy, AccessList, DynamicFee, Blob, SetCode].map(transaction);
    let others = [
        typed_data(),
        solana(),
        decode(PayloadKind::Message, b"message"),
        decode(PayloadKind::Eip191, b"to a person"),
    ];
    transactions.into_iter().chain(others).collect()
}

#[test]
fn contexts_are_those_of_the_schema() {
    let (policy, schema) = (policy(), schema());
    let share: ShareSubject = share(1, "test", "w");
    for name in ActionName::ALL {
        let mut found = Paths::new();
        match name {
            ActionName::Sign => {
                for payload in payloads() {
                    context(&policy, &share, &Sign { payload }, &mut found);
                }
            }
            ActionName::SignDigest => {
                let payload = Payload::Digest([1; 32]);
                context(&policy, &share, &Sign { payload }, &mut found);
            }
            ActionName::ListShares => {
                context(&policy, &share.identity.environment, &ListShares, &mut found);
            }
            // The others have no payload, and so one context.
            _ => context(&policy, &share, &UseShare, &mut found),
        }
        let mut expected = Paths::new();
        let applies_to = &schema["actions"][name.as_str()]["appliesTo"];
        declared(&schema, "", &applies_to["context"], &mut expected);
        assert_eq!(found, expected, "{name:?}");
        assert!(found.contains(".time.unix: Long"), "the walk arrives: {found:?}");
    }
}

#[test]
fn actions_are_those_of_the_schema() {
    let schema = schema();
    let declared: BTreeSet<_> = schema["actions"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(declared, ActionName::ALL.map(|name| name.as_str().to_owned()).into());
}

#[test]
fn entities_are_those_of_the_schema() {
    let schema = schema();
    let share: ShareSubject = share(1, "test", "w");
    let tags = Set::from([("tier".to_owned(), "hot".to_owned())]);
    let wallets = [(share.identity.wallet.clone(), tags)].into();
    let facts = Facts { tags: Tags { wallets, ..Tags::default() }, ..Facts::default() };
    let policy = Policy::parse([]).unwrap().with(facts);
    let caller = caller("app", &["apps"]);
    let time = SystemTime::now();
    let share = policy.ask(time, &caller, &share, ActionName::UseShare, None).unwrap();
    let data = Sign { payload: typed_data() };
    let signed = self::share(1, "test", "w");
    let fields = policy.ask(time, &caller, &signed, ActionName::Sign, data.payload()).unwrap();

    let mut types = BTreeSet::new();
    for entity in share.standing.entities.iter().chain(&fields.entities) {
        let json = entity.to_json_value().unwrap();
        let name = entity.uid().type_name().to_string();
        let is = &schema["entityTypes"][&*name];
        let (mut found, mut expected) = (Paths::new(), Paths::new());
        seen("", &json["attrs"], &mut found);
        if let Some(shape) = is.get("shape") {
            declared(&schema, "", shape, &mut expected);
        }
        if let Some(tags) = json["tags"].as_object() {
            tags.values().for_each(|value| seen(".tags", value, &mut found));
        }
        if let Some(tags) = is.get("tags") {
            declared(&schema, ".tags", tags, &mut expected);
        }
        assert_eq!(found, expected, "{name}");
        types.insert(name);
    }
    let declared: BTreeSet<_> =
        schema["entityTypes"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(types, declared);
}
