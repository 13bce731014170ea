//! The contract: what may leave. Every field that a response can reach stands in
//! the reviewed list below, with its type and why it is public; a field that
//! does not, or whose type changed, fails here.

use std::collections::{BTreeMap, BTreeSet};

use countersign::proto::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_types::{
    DescriptorProto, FileDescriptorSet, ServiceDescriptorProto, field_descriptor_proto::Type,
};

/// Full name, type, why it is public.
const REVIEWED: &[(&str, &str, &str)] = &[
    ("SignResponse.signature", "Signature", "the answer that was asked for"),
    ("SignResponse.algorithm", "Algorithm", "public metadata of the share"),
    ("SignResponse.record_version", "uint32", "public metadata of the share"),
    ("SignResponse.account_address", "string", "public metadata of the share"),
    ("SignResponse.receipt", "Receipt", "proof of the record"),
    ("Receipt.sequence", "uint64", "counts the records of the log"),
    ("Receipt.record_hash", "bytes", "a hash of a record, which holds nothing secret"),
    ("Receipt.path", "bytes", "hashes of records"),
    ("Receipt.checkpoint", "string", "made to be public"),
    ("Receipt.signature_recorded", "bool", "says where to look"),
    (
        "Signature.value",
        "bytes",
        "a signature: made to be public; verified, so no fault leaks a key",
    ),
    ("Signature.encoding", "SignatureEncoding", "says how to read the signature"),
    ("Signature.recovery_id", "uint32", "follows from signature and public key"),
    ("Signature.v", "uint64", "follows from the recovery id and the payload"),
    ("UseShareResponse.opened", "OpenedFrame", "a frame"),
    ("UseShareResponse.signed", "SignedFrame", "a frame"),
    ("OpenedFrame.public_key", "PublicKey", "the public half of the share"),
    ("OpenedFrame.idle_timeout_ms", "uint32", "configuration that the client must heed"),
    ("OpenedFrame.lifetime_ms", "uint32", "configuration that the client must heed"),
    ("OpenedFrame.max_operations", "uint32", "configuration that the client must heed"),
    ("OpenedFrame.max_in_flight", "uint32", "configuration that the client must heed"),
    ("OpenedFrame.receipt", "Receipt", "proof of the record"),
    ("SignedFrame.receipt", "Receipt", "proof of the record"),
    ("SignedFrame.id", "uint64", "the client's own number"),
    ("SignedFrame.signature", "Signature", "the answer that was asked for"),
    ("GetPublicKeyResponse.public_key", "PublicKey", "the public half of the share"),
    ("PublicKey.share_id", "string", "the name of the share"),
    ("PublicKey.wallet_id", "string", "the name of the wallet"),
    ("PublicKey.algorithm", "Algorithm", "public metadata of the share"),
    ("PublicKey.key", "bytes", "a public key"),
    ("PublicKey.account_address", "string", "derived from the public key"),
    ("PublicKey.state", "ShareState", "whether the share may be used"),
    ("PublicKey.record_version", "uint32", "counts the versions of the record"),
    ("Share.public_key", "PublicKey", "the public half of the share"),
    ("Share.environment", "string", "configuration, for operators"),
    ("Share.binding", "Binding", "how the public key is checked"),
    ("Share.kek", "string", "the name of a key that never leaves the KMS, for operators"),
    ("Share.create_time", "google.protobuf.Timestamp", "when the record was made"),
    ("Share.revision", "uint64", "counts the writes to the record"),
    ("Share.destroy_after", "google.protobuf.Timestamp", "when the record may be destroyed"),
    ("google.protobuf.Timestamp.seconds", "int64", "a time"),
    ("google.protobuf.Timestamp.nanos", "int32", "a time"),
    ("GenerateShareResponse.share", "Share", "public metadata"),
    ("GetImportKeyResponse.statement", "string", "a public key and who says so: made to be public"),
    ("ImportShareResponse.share", "Share", "public metadata"),
    ("ListSharesResponse.shares", "Share", "public metadata"),
    ("ListSharesResponse.next_page_token", "string", "a position in the list of ids"),
    ("GetShareResponse.share", "Share", "public metadata"),
    ("DisableShareResponse.share", "Share", "public metadata"),
    ("EnableShareResponse.share", "Share", "public metadata"),
    ("ScheduleDestructionResponse.share", "Share", "public metadata"),
    ("DestroyShareResponse.share", "Share", "public metadata"),
    ("ReencryptShareResponse.share", "Share", "public metadata"),
];

/// Every RPC, with its request and response.
const RPCS: &[(&str, &str, &str)] = &[
    ("SigningEnclave.Sign", "SignRequest", "SignResponse"),
    ("SigningEnclave.UseShare", "stream UseShareRequest", "stream UseShareResponse"),
    ("SigningEnclave.GetPublicKey", "GetPublicKeyRequest", "GetPublicKeyResponse"),
    ("ShareCustody.GenerateShare", "GenerateShareRequest", "GenerateShareResponse"),
    ("ShareCustody.GetImportKey", "GetImportKeyRequest", "GetImportKeyResponse"),
    ("ShareCustody.ImportShare", "ImportShareRequest", "ImportShareResponse"),
    ("ShareCustody.ListShares", "ListSharesRequest", "ListSharesResponse"),
    ("ShareCustody.GetShare", "GetShareRequest", "GetShareResponse"),
    ("ShareCustody.DisableShare", "DisableShareRequest", "DisableShareResponse"),
    ("ShareCustody.EnableShare", "EnableShareRequest", "EnableShareResponse"),
    (
        "ShareCustody.ScheduleDestruction",
        "ScheduleDestructionRequest",
        "ScheduleDestructionResponse",
    ),
    ("ShareCustody.DestroyShare", "DestroyShareRequest", "DestroyShareResponse"),
    ("ShareCustody.ReencryptShare", "ReencryptShareRequest", "ReencryptShareResponse"),
];

struct Contract {
    messages: BTreeMap<String, DescriptorProto>,
    services: Vec<ServiceDescriptorProto>,
}

fn contract() -> Contract {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut messages = BTreeMap::new();
    let mut services = Vec::new();
    for file in set.file {
        for message in file.message_type {
            assert!(message.nested_type.is_empty(), "maps and nested messages hide fields");
            let name = format!(".{}.{}", file.package.as_deref().unwrap(), message.name());
            messages.insert(name, message);
        }
        services.extend(file.service);
    }
    Contract { messages, services }
}

fn short(name: &str) -> String {
    name.trim_start_matches(".countersign.v1.").trim_start_matches('.').to_owned()
}

#[test]
fn every_field_that_can_leave_is_reviewed() {
    let Contract { messages, services } = contract();
    let mut open: Vec<String> = services
        .iter()
        .flat_map(|service| &service.method)
        .map(|method| method.output_type().to_owned())
        .collect();
    let mut seen = BTreeSet::new();
    let mut reachable = BTreeSet::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let message = messages.get(&name).unwrap_or_else(|| panic!("{name} is not in the set"));
        for field in &message.field {
            let type_name = match field.r#type() {
                Type::Message => {
                    open.push(field.type_name().to_owned());
                    short(field.type_name())
                }
                Type::Enum => short(field.type_name()),
                scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
            };
            reachable.insert((format!("{}.{}", short(&name), field.name()), type_name));
        }
    }
    let reviewed: BTreeSet<_> = REVIEWED
        .iter()
        .map(|(name, kind, reason)| {
            assert!(!reason.is_empty());
            ((*name).to_owned(), (*kind).to_owned())
        })
        .collect();
    let unreviewed: Vec<_> = reachable.difference(&reviewed).collect();
    assert!(unreviewed.is_empty(), "not in the reviewed list: {unreviewed:?}");
    let stale: Vec<_> = reviewed.difference(&reachable).collect();
    assert!(stale.is_empty(), "in the list, but not in the contract: {stale:?}");
    for forbidden in ["Any", "Struct", "Value"] {
        assert!(!reachable.iter().any(|(_, kind)| kind.ends_with(&format!(".{forbidden}"))));
    }
}

#[test]
fn the_services_have_these_calls_and_no_others() {
    let mut found = Vec::new();
    for service in contract().services {
        for method in &service.method {
            let stream = |streaming, name: &str| {
                let name = short(name);
                if streaming { format!("stream {name}") } else { name }
            };
            found.push((
                format!("{}.{}", service.name(), method.name()),
                stream(method.client_streaming(), method.input_type()),
                stream(method.server_streaming(), method.output_type()),
            ));
        }
    }
    let expected: Vec<_> = RPCS
        .iter()
        .map(|(name, input, output)| {
            ((*name).to_owned(), (*input).to_owned(), (*output).to_owned())
        })
        .collect();
    assert_eq!(found, expected);
}

/// Required or optional is said of every request field; every field, message,
/// call and enum value has a comment.
#[test]
fn everything_is_documented() {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    for file in set.file.iter().filter(|file| file.package() == "countersign.v1") {
        let info = file.source_code_info.as_ref().expect("comments are embedded");
        let comment = |path: &[i32]| {
            let location = info.location.iter().find(|location| location.path == path);
            location.map_or("", |location| location.leading_comments().trim())
        };
        for (m, message) in (0..).zip(&file.message_type) {
            assert!(!comment(&[4, m]).is_empty(), "{}", message.name());
            let request = message.name().ends_with("Request");
            for (f, field) in (0..).zip(&message.field) {
                let text = comment(&[4, m, 2, f]);
                let name = format!("{}.{}", message.name(), field.name());
                assert!(!text.is_empty(), "{name}");
                if request && field.oneof_index.is_none() {
                    assert!(
                        text.starts_with("Required") || text.starts_with("Optional"),
                        "{name} does not say whether it is required"
                    );
                }
                if field.r#type() == Type::Bytes {
                    assert!(text.contains(char::is_numeric), "{name} does not say its size");
                }
            }
        }
        for (e, kind) in (0..).zip(&file.enum_type) {
            for (v, value) in (0..).zip(&kind.value) {
                assert!(!comment(&[5, e, 2, v]).is_empty(), "{}", value.name());
            }
        }
        for (s, service) in (0..).zip(&file.service) {
            for (r, method) in (0..).zip(&service.method) {
                let text = comment(&[6, s, 2, r]);
                for part in ["Effect:", "Who may call:", "Status codes:"] {
                    assert!(text.contains(part), "{} says no {part}", method.name());
                }
            }
        }
    }
}
