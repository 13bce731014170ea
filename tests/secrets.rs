//! What secret types must not be able to do, decided by the compiler: nothing
//! prints, copies, compares or serialises one.

use std::{
    borrow::Borrow,
    fmt::{Debug, Display},
    hash::Hash,
    marker::PhantomData,
    ops::Deref,
};

use aes_gcm::Aes256Gcm;
use countersign::{
    enclave::{Dek, Generated, OpenShare, SecretPool, Slot},
    kms::{Unwrapped, local::Local},
    permitted::PermittedEnvelope,
    policy::{GenerateShare, GetPublicKey, Permit, Sign, UseShare},
};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::ZeroizeOnDrop;

/// Whether a type implements a trait: an inherent constant, which exists only
/// when it does, is preferred to the trait's constant of the same name.
macro_rules! implements {
    ($type:ty: $($bound:tt)+) => {{
        #[allow(dead_code)]
        trait Otherwise {
            const FOUND: bool = false;
        }
        impl<T: ?Sized> Otherwise for T {}
        struct Probe<T: ?Sized>(#[allow(dead_code)] PhantomData<T>);
        #[allow(dead_code)]
        impl<T: ?Sized + $($bound)+> Probe<T> {
            const FOUND: bool = true;
        }
        <Probe<$type>>::FOUND
    }};
}

macro_rules! reveals_nothing {
    ($($type:ty),+ $(,)?) => {$(
        const _: () = assert!(!implements!($type: Debug));
        const _: () = assert!(!implements!($type: Display));
        const _: () = assert!(!implements!($type: Clone));
        const _: () = assert!(!implements!($type: Copy));
        const _: () = assert!(!implements!($type: PartialEq));
        const _: () = assert!(!implements!($type: PartialOrd));
        const _: () = assert!(!implements!($type: Hash));
        const _: () = assert!(!implements!($type: Default));
        const _: () = assert!(!implements!($type: Serialize));
        const _: () = assert!(!implements!($type: DeserializeOwned));
        const _: () = assert!(!implements!($type: Deref));
        const _: () = assert!(!implements!($type: AsRef<[u8]>));
        const _: () = assert!(!implements!($type: Borrow<[u8]>));
        const _: () = assert!(!implements!($type: Into<Vec<u8>>));
    )+};
}

reveals_nothing!(
    Slot,
    Dek,
    Local,
    OpenShare,
    Generated,
    Unwrapped,
    Permit<Sign>,
    Permit<UseShare>,
    Permit<GenerateShare>,
    Permit<GetPublicKey>,
    PermittedEnvelope<Sign>,
    PermittedEnvelope<UseShare>,
);

// A pool is shared and for that cloned; it still prints nothing.
const _: () = assert!(!implements!(SecretPool: Debug));

// The cipher holds the round keys, which are as good as the key.
const _: () = assert!(implements!(Aes256Gcm: ZeroizeOnDrop));
const _: () = assert!(implements!(ed25519_dalek::SigningKey: ZeroizeOnDrop));
const _: () = assert!(implements!(ed25519_dalek::hazmat::ExpandedSecretKey: ZeroizeOnDrop));
const _: () = assert!(implements!(k256::SecretKey: ZeroizeOnDrop));
const _: () = assert!(implements!(k256::schnorr::SigningKey: ZeroizeOnDrop));
const _: () = assert!(implements!(p256::SecretKey: ZeroizeOnDrop));

// The probe itself finds what is there.
const _: () = assert!(implements!(String: Clone));
const _: () = assert!(implements!(String: AsRef<[u8]>));
const _: () = assert!(implements!(u8: Copy));
const _: () = assert!(implements!(String: Serialize));
const _: () = assert!(implements!(String: DeserializeOwned));
const _: () = assert!(implements!(SecretPool: Clone));
const _: () = assert!(!implements!(String: Copy));

/// Everything above was decided when this was compiled.
#[test]
fn secret_types_have_no_way_out() {}
