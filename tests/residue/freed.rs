//! Ordinary memory that was freed: the allocator wipes it, wherever it is.

use super::{
    child,
    rights::may_look,
    scan::{assert_always, assert_nothing, samples, scan},
    tool::needle::{Kind, Needle},
};

/// A child of `test`, and what it had in memory that it makes out of its line: the
/// line itself is no copy.
fn start(test: &str, here: &tempfile::TempDir) -> (child::Running, Needle) {
    let mut bytes = vec![0; 32];
    getrandom::fill(&mut bytes).unwrap();
    let masked: Vec<_> = bytes.iter().map(|byte| byte ^ MASK).collect();
    let child = child::start(test, here.path(), &hex::encode(masked));
    (child, Needle { name: "freed".to_owned(), kind: Kind::Bytes, bytes })
}

/// What the children's lines are masked with.
pub const MASK: u8 = 0xa5;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_freed_is_nowhere() {
    if !may_look(module_path!(), "what_was_freed_is_nowhere") {
        return;
    }
    let here = tempfile::tempdir().unwrap();
    let (child, needle) = start("frees_what_it_had", &here);
    let tally = scan(child.pid(), &[needle], samples()).await;
    assert_nothing(&[("freed", &tally)]);
}

/// The same child, but for its last line.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_freed_is_found() {
    if !may_look(module_path!(), "what_was_not_freed_is_found") {
        return;
    }
    let here = tempfile::tempdir().unwrap();
    let (child, needle) = start("keeps_what_it_had", &here);
    let tally = scan(child.pid(), &[needle], samples()).await;
    assert_always("control: not freed", &tally);
    for form in ["raw", "hex"] {
        assert!(tally.finds.iter().any(|find| find.form.starts_with(form)), "{form}: {tally}");
    }
}
