//! What a case is about: a share, one that is to be made, or the environment.

use alloy_primitives::Address as EvmAddress;

use crate::{
    config::document::Table,
    envelope::Identity,
    key::{AccountAddress, Algorithm, Environment, RecordVersion, ShareId, WalletId},
    payload::solana::Address as SolanaAddress,
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
    if action == Some(ActionName::ListShares) {
        let of_shares = ["wallet", "algorithm", "address", "share"];
        if of_shares.map(|key| table.optional_text(key)) != [const { None }; 4] {
            let keys = of_shares.join(", ");
            table.note(format!("\"ListShares\" is done to the environment: leave out {keys}"));
        }
        return Some(CaseSubject::Environment(environment?.clone()));
    }
    let wallet: Option<WalletId> = table.name_of("wallet", "the wallet of the share");
    let algorithm: Option<Algorithm> = table.name_of("algorithm", "the algorithm of the share");
    let address: Option<Option<AccountAddress>> = table.optional_name_of("address");
    let share: Option<Option<ShareId>> = table.optional_name_of("share");
    if let (Some(Some(address)), Some(algorithm)) = (&address, algorithm) {
        require_canonical(table, address, algorithm);
    }
    let (environment, wallet, algorithm) = (environment?.clone(), wallet?, algorithm?);
    let (address, share) = (address?, share?.unwrap_or_else(ShareId::random));
    if action? == ActionName::GenerateShare {
        if address.is_some() {
            table.note("a share that is to be made has no address yet: leave `address` out");
        }
        return Some(CaseSubject::New(NewShare { environment, wallet, share, algorithm }));
    }
    let version = RecordVersion::FIRST;
    Some(CaseSubject::Share(Identity { environment, wallet, share, version, address, algorithm }))
}

/// No share has an address in another spelling than the one that policy sees.
fn require_canonical(table: &Table<'_>, address: &AccountAddress, algorithm: Algorithm) {
    let text = address.as_str();
    match algorithm {
        Algorithm::EcdsaSecp256k1 if EvmAddress::parse_checksummed(text, None).is_err() => {
            table.note("`case.address` is an address as EIP-55 writes it, 0x and 40 digits");
        }
        Algorithm::Ed25519 if text.parse::<SolanaAddress>().is_err() => {
            table.note("`case.address` is an address in base58, 32 bytes");
        }
        Algorithm::EcdsaSecp256k1 | Algorithm::Ed25519 => {}
        Algorithm::EcdsaP256 | Algorithm::SchnorrSecp256k1 => {
            table.note("shares of this algorithm have no address: leave `case.address` out");
        }
    }
}
