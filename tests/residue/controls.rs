//! That the scan finds what is there: were it blind, everything else here would
//! pass as well.

use super::{
    child,
    instance::{Custodian, Instance},
    load::Load,
    plain,
    rights::may_look,
    scan::{assert_always, samples, scan},
    tool::needle::{Kind, Needle},
};
use crate::support::kernel::without;

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_ordinary_memory_is_in_every_sample() {
    if !may_look(module_path!(), "a_copy_in_ordinary_memory_is_in_every_sample") {
        return;
    }
    let mut bytes = vec![0; 32];
    getrandom::fill(&mut bytes).unwrap();
    let here = tempfile::tempdir().unwrap();
    let child = child::start("plants", here.path(), &hex::encode(&bytes));
    let planted = Needle { name: "planted".to_owned(), kind: Kind::Bytes, bytes };
    let tally = scan(child.pid(), &[planted], samples()).await;
    assert_always("control: a planted copy", &tally);
    let raw = tally.finds.iter().find(|find| find.form == "raw").unwrap();
    assert!(raw.whole >= 1 && raw.samples == tally.samples);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_in_plain_memory_is_found() {
    if !may_look(module_path!(), "a_signer_in_plain_memory_is_found") {
        return;
    }
    let (sealed, needles) = plain::Sealed::new();
    let here = tempfile::tempdir().unwrap();
    let child = child::start("signs_in_plain_memory", here.path(), &sealed.write());
    let tally = scan(child.pid(), &needles, samples()).await;
    assert_always("control: the libraries without the section", &tally);
    for needle in ["plain/share", "plain/dek"] {
        assert!(tally.finds.iter().any(|find| find.needle == needle), "{tally}");
    }
}

/// The shipped binary itself, on a kernel without `memfd_secret`: on locked
/// memory, which other processes can read.
#[tokio::test(flavor = "multi_thread")]
async fn the_binary_without_memfd_secret_is_found() {
    if !may_look(module_path!(), "the_binary_without_memfd_secret_is_found") {
        return;
    }
    let instance =
        without(&[libc::SYS_memfd_secret], || Instance::start("test", &Custodian::Local));
    let shares = instance.shares().await;
    let ids = shares.iter().map(|share| share.id.as_str());
    let Some(needles) = instance.needles(ids) else {
        return;
    };
    let load = Load::streaming(&instance, &shares);
    load.runs(10).await;
    let tally = scan(instance.pid(), &needles, samples()).await;
    load.stop().await;
    assert_always("control: the binary without memfd_secret", &tally);
    let held = |share: &crate::support::enclave::Share| {
        let name = format!("{}/share", &share.id[..13]);
        tally.finds.iter().any(|find| find.needle == name)
    };
    assert!(shares.iter().all(held), "every open share: {tally}");
}
