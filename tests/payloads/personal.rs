//! Personal messages, whose digests are those of viem and ethers.

use countersign::payload::{Payload, PayloadKind};

use super::{
    corpus::{self, PersonalView},
    decoded::{assert_same, decoded},
};

#[test]
fn every_personal_message_is_hashed_as_viem_and_ethers_hash_it() {
    let personal: corpus::Personal = corpus::read("personal.json");
    for case in &personal.cases {
        let Payload::Eip191(message) = decoded(PayloadKind::Eip191, case) else { panic!() };
        let text = message.text().map(ToOwned::to_owned);
        let view = PersonalView { length: message.message().len(), text };
        assert_same(&case.name, &view, &case.view);
    }
}
