//! Permits from a policy that permits everything.

use std::sync::{Arc, LazyLock};

use countersign::{
    caller::Caller,
    policy::{Permit, Policy, UseShare},
    record::ShareDescription,
};

static ALL: LazyLock<Policy> = LazyLock::new(|| {
    let all = r#"@id("all") permit (principal, action, resource);"#;
    Policy::parse([("all.cedar", all)]).unwrap_or_else(|problems| panic!("{problems:?}"))
});

/// A permit to open a share.
pub fn to_open(share: &ShareDescription) -> Permit<UseShare> {
    let caller = Arc::new(Caller {
        name: "test".into(),
        uid: Some(1000),
        spiffe_id: None,
        groups: Box::default(),
        rate: None,
    });
    ALL.authorize(&caller, Arc::new(share.clone()), UseShare).unwrap()
}
