//! `[[tags]]`: what policies are told about the shares of a wallet, or about one share.

use super::document::Table;
use crate::{
    key::{ShareId, WalletId},
    policy::{Set, Tags},
};

pub(crate) fn read(tables: Vec<Table<'_>>) -> Option<Tags> {
    let mut tags = Tags::default();
    let mut whole = true;
    for table in tables {
        whole &= one(&table, &mut tags).is_some();
        table.finish();
    }
    whole.then_some(tags)
}

fn one(table: &Table<'_>, tags: &mut Tags) -> Option<()> {
    let wallet: Option<Option<WalletId>> = table.optional_name_of("wallet");
    let share: Option<Option<ShareId>> = table.optional_name_of("share");
    let set: Option<Set> = table.or(
        "set",
        "names and texts, such as { tier = \"hot\" }, at least one",
        Set::new(),
        |value| {
            let pairs = value.as_table()?.iter();
            let pairs = pairs.map(|(name, value)| {
                Some((name.get_ref().to_string(), value.get_ref().as_str()?.to_owned()))
            });
            pairs.collect::<Option<Set>>().filter(|set| !set.is_empty())
        },
    );
    let (wallet, share, set) = (wallet?, share?, set?);
    if set.is_empty() {
        table.note("`tags.set` is missing: names and texts, such as { tier = \"hot\" }");
    }
    let taken = match (wallet, share) {
        (Some(wallet), None) => tags.wallets.insert(wallet, set).is_some(),
        (None, Some(share)) => tags.shares.insert(share, set).is_some(),
        (Some(_), Some(_)) | (None, None) => {
            table.note("[[tags]] is for a `wallet` or for a `share`: name one of them");
            false
        }
    };
    if taken {
        table.note("there are other [[tags]] for the same: write all of them in one `set`");
    }
    Some(())
}
