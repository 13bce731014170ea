//! Typed data: what viem and ethers read, leaf by leaf.

use countersign::payload::{Payload, PayloadKind, eip712::TypedData};

use super::{
    corpus::{self, Domain, TypedDataView},
    decoded::{assert_same, decoded, hexed},
};

#[test]
fn every_typed_data_is_seen_as_viem_and_ethers_see_it() {
    let typed_data: corpus::TypedData = corpus::read("typed_data.json");
    for case in &typed_data.cases {
        let Payload::Eip712(data) = decoded(PayloadKind::Eip712, case) else { panic!() };
        assert_same(&case.name, &view(&data), &case.view);
    }
}

fn view(data: &TypedData) -> TypedDataView {
    let TypedData { digest: _, domain, primary_type, encode_type, fields, permit } = data;
    if let Some(permit) = permit {
        let permit = [
            permit.owner.to_checksum(None),
            permit.spender.to_checksum(None),
            permit.value.to_string(),
            permit.nonce.to_string(),
            permit.deadline.to_string(),
        ];
        assert!(permit.iter().eq(fields.iter().map(|(_, value)| value)));
    }
    TypedDataView {
        domain: Domain {
            name: domain.name.clone(),
            version: domain.version.clone(),
            chain_id: domain.chain_id.map(|id| id.to_string()),
            verifying_contract: domain.verifying_contract.map(|at| at.to_checksum(None)),
            salt: domain.salt.map(|salt| hexed(&salt)),
        },
        primary_type: primary_type.to_string(),
        encode_type: encode_type.to_string(),
        fields: fields.clone(),
    }
}
