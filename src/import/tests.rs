use std::time::Duration;

use tokio::time::sleep;

use super::*;
use crate::{
    enclave::Enclave,
    key::Binding,
    memory::{Budget, Level},
};

/// With so many slots.
fn enclave(slots: usize) -> Enclave {
    let budget = Budget { slots, large_slots: 0, sections: 1, threads: 0 };
    Enclave::start(budget, Level::Mlock).unwrap()
}

#[tokio::test]
async fn a_key_is_wiped_when_its_time_is_over() {
    let enclave = enclave(2);
    let [young, old] = [(); 2].map(|()| enclave.import_key().unwrap());
    let (of_young, of_old) = (*young.public(), *old.public());
    let (short, long) = (ImportKeys::living(Duration::ZERO), ImportKeys::default());
    assert!(short.keep(old) && long.keep(young));
    assert_eq!(enclave.pool().free(), 0);
    // Nobody asks for it; it goes by itself.
    while enclave.pool().free() == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(short.take(&of_old).is_none());
    assert!(long.take(&of_young).is_some());
    assert!(long.take(&of_young).is_none());
    assert_eq!(enclave.pool().free(), 2);
}

/// What every other implementation has to write.
#[test]
fn the_info_is_eight_lines() {
    let key = "034f355bdcb7cc0af728ef3cceb9615d90684bb5b2ca5f859ab0f0b704075871aa";
    let algorithm = Algorithm::EcdsaSecp256k1;
    let new = NewShare {
        environment: "staging".parse().unwrap(),
        wallet: "wallet-1".parse().unwrap(),
        share: "6f9619ff-8b86-4011-b42d-00c04fc964ff".parse().unwrap(),
        algorithm,
        binding: Binding::Derived,
    };
    let parsed = PublicKey::parse(algorithm, &hex::decode(key).unwrap()).unwrap();
    let address = AccountAddress::of(&parsed).unwrap();
    let head = "countersign/v1/import\nstaging\nwallet-1\n6f9619ff-8b86-4011-b42d-00c04fc964ff\n\
        ecdsa-secp256k1\nderived\n";
    let of = |key, address| info(&new, &Declared::new(algorithm, key, address).unwrap());
    assert_eq!(of(Some(parsed), None), format!("{head}{key}\n\n"));
    assert_eq!(of(None, Some(address.clone())), format!("{head}\n{address}\n"));
    assert_eq!(of(Some(parsed), Some(address.clone())), format!("{head}{key}\n{address}\n"));
}
