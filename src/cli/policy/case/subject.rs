//! What a case is about: a share, one that is to be made, or the environment.

use crate::{
    config::document::Table,
    envelope::Identity,
    key::{
        AccountAddress, Algorithm, Binding, Environment, Malformed, RecordVersion, ShareId,
        WalletId,
    },
    policy::{ActionName, NewShare},
};

/// What the action of a case is done to.
pub(in crate::cli::policy) enum CaseSubject {
    Share(Identity),
    New(NewShare),
    Environment(Environment),
}

/// Without `share` it is some share.
pub(super) fn read(
    table: &Table<'_>,
    action: Option<ActionName>,
    environment: Option<&Environment>,
) -> Option<CaseSubject> {
    if let Some(action @ (ActionName::ListShares | ActionName::GetImportKey)) = action {
        let of_shares = ["wallet", "algorithm", "address", "share"];
        if of_shares.map(|key| table.optional_text(key)) != [const { None }; 4] {
            let keys = of_shares.join(", ");
            let action = action.as_str();
            table.note(format!("{action:?} is done to the environment: leave out {keys}"));
        }
        return Some(CaseSubject::Environment(environment?.clone()));
    }
    let wallet: Option<WalletId> = table.name_of("wallet", "the wallet of the share");
    let algorithm: Option<Algorithm> = table.name_of("algorithm", "the algorithm of the share");
    let what = "\"derived\" or \"declared\"";
    let binding = table.or("binding", what, Binding::Derived, |value| value.as_str()?.parse().ok());
    let address: Option<Option<AccountAddress>> = table.optional_name_of("address");
    let share: Option<Option<ShareId>> = table.optional_name_of("share");
    // No share has an address in another spelling than the one that policy sees.
    if let (Some(Some(address)), Some(algorithm)) = (&address, algorithm)
        && let Err(Malformed(rule)) = address.require_canonical(algorithm)
    {
        table.note(format!("`case.address` {rule}"));
    }
    let (environment, wallet) = (environment?.clone(), wallet?);
    let (algorithm, binding) = (algorithm?, binding?);
    let (address, share) = (address?, share?.unwrap_or_else(ShareId::random));
    if matches!(action?, ActionName::GenerateShare | ActionName::ImportShare) {
        if address.is_some() {
            table.note("a share that is to be made has no address yet: leave `address` out");
        }
        return Some(CaseSubject::New(NewShare { environment, wallet, share, algorithm, binding }));
    }
    let version = RecordVersion::FIRST;
    Some(CaseSubject::Share(Identity {
        environment,
        wallet,
        share,
        version,
        address,
        algorithm,
        binding,
    }))
}
