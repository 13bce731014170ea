//! Tags: what the configuration says about shares, for policies to ask.

use std::collections::BTreeMap;

use crate::key::{ShareId, WalletId};

/// The tags of every share, by wallet and by share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// Of every share of a wallet.
    pub wallets: BTreeMap<WalletId, Set>,
    /// Of one share; the same tag of its wallet gives way.
    pub shares: BTreeMap<ShareId, Set>,
}

/// Names and values.
pub type Set = BTreeMap<String, String>;

impl Tags {
    /// The tags of one share.
    pub(super) fn of(
        &self,
        wallet: &WalletId,
        share: ShareId,
    ) -> impl Iterator<Item = (&str, &str)> {
        let own = self.shares.get(&share);
        let wallets = self.wallets.get(wallet).into_iter().flatten();
        let wallets =
            wallets.filter(move |(name, _)| own.is_none_or(|own| !own.contains_key(*name)));
        let tags = wallets.chain(own.into_iter().flatten());
        tags.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
