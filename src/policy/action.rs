//! Actions: what may be permitted, and what each is done to.

use std::sync::LazyLock;

use cedar_policy::EntityUid;

use super::{
    ShareSubject,
    subject::{NewShare, Subject, Type, uid},
};
use crate::{
    import::Declared,
    key::{Algorithm, Environment, Why},
    payload::Payload,
};

/// An action that policy decides. Sealed.
pub trait Action: sealed::Sealed {
    /// What the action is done to.
    type Subject: Subject;

    /// Whether it needs the share itself.
    const OPENS: bool = false;

    /// Its name.
    fn name(&self) -> ActionName;

    /// Why, where the caller says so.
    fn why(&self) -> Option<&Why> {
        None
    }

    /// What is to be signed, where that is the action.
    fn payload(&self) -> Option<&Payload> {
        None
    }
}

/// An action that needs the share itself.
pub trait Opens: Action<Subject = ShareSubject> {}

/// Sign one payload: `Sign`, or `SignDigest` where it is a bare digest.
pub struct Sign {
    /// What to sign.
    pub payload: Payload,
}

/// Hold a share open for a stream.
pub struct UseShare;

/// Read the public half of a share.
pub struct GetPublicKey;

/// Make a share.
pub struct GenerateShare {
    /// Its algorithm.
    pub algorithm: Algorithm,
}

/// Make a key to which a share is sealed for an import.
pub struct GetImportKey;

/// Take in a share that was made elsewhere.
pub struct ImportShare {
    /// What it must turn out to be.
    pub declared: Declared,
}

/// List an environment's shares.
pub struct ListShares;

/// Read a share's public metadata.
pub struct GetShare;

/// Stop the use of a share.
pub struct DisableShare {
    /// Why.
    pub why: Option<Why>,
}

/// Allow the use of a share again.
pub struct EnableShare {
    /// Why.
    pub why: Option<Why>,
}

/// Have a disabled share destroyed, once it has waited.
pub struct ScheduleDestruction {
    /// Why.
    pub why: Why,
}

/// Destroy a share that has waited.
pub struct DestroyShare {
    /// Why.
    pub why: Why,
}

/// Seal a share anew, under a DEK of its own.
pub struct ReencryptShare {
    /// Why.
    pub why: Option<Why>,
}

impl Action for Sign {
    type Subject = ShareSubject;

    const OPENS: bool = true;

    fn name(&self) -> ActionName {
        match self.payload {
            Payload::Digest(_) => ActionName::SignDigest,
            Payload::Message(_)
            | Payload::Eip191(_)
            | Payload::Eip712(_)
            | Payload::EvmTransaction(_)
            | Payload::SolanaMessage(_) => ActionName::Sign,
        }
    }

    fn payload(&self) -> Option<&Payload> {
        Some(&self.payload)
    }
}

impl Opens for Sign {}
impl Opens for UseShare {}
impl Opens for ReencryptShare {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Sign {}
}

/// Every action, by its name in policies.
macro_rules! actions {
    ($($name:ident),+) => {
        /// The name of an action in policies.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the schema documents each")]
        pub enum ActionName { $($name),+ }

        impl ActionName {
            /// Every action.
            pub const ALL: [Self; [$(stringify!($name)),+].len()] = [$(Self::$name),+];

            /// The name as written.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }
        }
    };
}

actions!(
    Sign,
    SignDigest,
    UseShare,
    GetPublicKey,
    GenerateShare,
    GetImportKey,
    ImportShare,
    ListShares,
    GetShare,
    DisableShare,
    EnableShare,
    ScheduleDestruction,
    DestroyShare,
    ReencryptShare
);

impl ActionName {
    /// The Cedar identity, made once.
    pub(super) fn uid(self) -> EntityUid {
        static UIDS: LazyLock<[EntityUid; ActionName::ALL.len()]> =
            LazyLock::new(|| ActionName::ALL.map(|name| uid(Type::Action, name.as_str())));
        let [first, ..] = &*UIDS;
        UIDS.get(self as usize).unwrap_or(first).clone()
    }
}

/// An action without a payload.
macro_rules! plain_action {
    ($action:ident on $subject:ty $(, opens: $opens:literal)? $(, why: |$this:ident| $why:expr)?) => {
        impl sealed::Sealed for $action {}
        impl Action for $action {
            type Subject = $subject;

            $(const OPENS: bool = $opens;)?

            fn name(&self) -> ActionName {
                ActionName::$action
            }

            $(
                fn why(&self) -> Option<&Why> {
                    let $this = self;
                    $why
                }
            )?
        }
    };
}

plain_action!(UseShare on ShareSubject, opens: true);
plain_action!(GetPublicKey on ShareSubject);
plain_action!(GenerateShare on NewShare);
plain_action!(GetImportKey on Environment);
plain_action!(ImportShare on NewShare);
plain_action!(ListShares on Environment);
plain_action!(GetShare on ShareSubject);
plain_action!(DisableShare on ShareSubject, why: |action| action.why.as_ref());
plain_action!(EnableShare on ShareSubject, why: |action| action.why.as_ref());
plain_action!(ScheduleDestruction on ShareSubject, why: |action| Some(&action.why));
plain_action!(DestroyShare on ShareSubject, why: |action| Some(&action.why));
plain_action!(ReencryptShare on ShareSubject, opens: true, why: |action| action.why.as_ref());
