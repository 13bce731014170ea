//! Enclaves whose records are in Vault.

use countersign::store::vault_kv::policy::Access;

use super::vault_kv::tenant;
use crate::support::{
    served::{Home, LOCAL, records, server, vault as transit},
    vault::{Tenant, VaultServer},
};

/// Custody makes a share whose record is in Vault, another process signs with it, and
/// neither has a right that it does not need.
#[tokio::test(flavor = "multi_thread")]
async fn enclaves_share_the_records_in_vault() {
    tenant!(_vault, tenant);
    let environment = tenant.environment();
    let mut settings = tenant.settings();
    let writer = tenant.records(Access::Write, environment).await;
    let [store, login] = records(&writer);
    let kms = transit(&settings, &settings.ca_file) + &login;
    let home = Home::new(environment.as_str(), &kms, &store);
    let serve = home.serve();
    let custody = home.start(serve).await;
    let share = custody.generate().await;
    custody.sign(&share).await.unwrap();

    settings.custodian = None;
    let reader = tenant.records(Access::Read, environment).await;
    let [store, login] = records(&reader);
    let kms = transit(&settings, &settings.ca_file) + &login;
    let home = Home::new(environment.as_str(), &kms, &store);
    let serve = home.serve();
    let signer = home.start(serve).await;
    signer.sign(&share).await.unwrap();
    assert_eq!(signer.metric("audit_uncounted"), Some(0));
    for served in [custody, signer] {
        let log = served.stop_keeping().log();
        for told in ["hvs.", "not revoked", "did not revoke", "not counted"] {
            assert!(!log.contains(told), "{log}");
        }
    }
}

/// A KEK in a file and records in Vault: [vault] is there for the store alone.
#[tokio::test(flavor = "multi_thread")]
async fn records_in_vault_need_no_key_in_it() {
    tenant!(_vault, tenant);
    let settings = tenant.records(Access::Write, tenant.environment()).await;
    let [store, login] = records(&settings);
    let kms = [LOCAL, &server(&settings.server), &login].concat();
    let home = Home::new(tenant.environment().as_str(), &kms, &store);
    let serve = home.serve();
    let served = home.start(serve).await;
    let share = served.generate().await;
    served.sign(&share).await.unwrap();
    served.stop();
}
