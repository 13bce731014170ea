//! `[[caller]]`: who may call at all.

use super::{Listen, document::Table, rate};
use crate::caller::{Caller, Callers, OVERFLOW_UID, SpiffeId};

pub(crate) fn read(
    tables: Vec<Table<'_>>,
    root: &Table<'_>,
    listen: Option<&Listen>,
) -> Option<Callers> {
    let tls = listen.map(|listen| listen.over_tls().next().is_some());
    if tables.is_empty() {
        root.note("no [[caller]]: name at least one, with its name and its uid or spiffe_id");
    }
    let mut callers: Vec<Caller> = Vec::new();
    for table in tables {
        let name = table.text("name", "the caller's name in policies");
        let uid = table.optional_number("uid", 0..=u32::MAX - 1);
        let spiffe_id: Option<Option<SpiffeId>> = table.optional_name_of("spiffe_id");
        let groups = table.texts("groups");
        let rate = rate::read(&table, "rate", "burst");
        if uid == Some(Some(OVERFLOW_UID)) {
            table.note("uid 65534 names nobody in particular and is never a caller");
        }
        if let (Some(None), Some(None)) = (uid, &spiffe_id) {
            table.note(
                "a caller needs a `uid`, which its peer has on the Unix socket, a `spiffe_id`, \
                 which is in its client certificate, or both",
            );
        }
        if let (Some(name), Some(uid), Some(spiffe_id), Some(groups)) =
            (name, uid, spiffe_id, groups)
        {
            let other = |is: &dyn Fn(&Caller) -> bool| callers.iter().any(is);
            if other(&|other| *other.name == *name) {
                table.note(format!("there is another caller with the name \"{name}\""));
            }
            if let Some(uid) = uid
                && other(&|other| other.uid == Some(uid))
            {
                table.note(format!("there is another caller with the uid {uid}"));
            }
            if let Some(id) = &spiffe_id
                && other(&|other| other.spiffe_id.as_ref() == Some(id))
            {
                table.note(format!("there is another caller with the spiffe_id \"{id}\""));
            }
            if let Some(id) = &spiffe_id
                && let Some(first) = callers.iter().find_map(|other| other.spiffe_id.as_ref())
                && first.trust_domain() != id.trust_domain()
            {
                // `client_ca_file` does not say which authority may vouch for which.
                table.note(format!(
                    "the spiffe_id \"{id}\" is of another trust domain than \"{first}\": all must \
                     be of one, whose authorities are in `client_ca_file`"
                ));
            }
            if tls == Some(false) && uid.is_none() && spiffe_id.is_some() {
                table.note(
                    "this caller has a spiffe_id alone, and there is no [listen.tls] or \
                     [listen.custody_tls] where it could call",
                );
            }
            callers.push(Caller {
                name: name.into(),
                uid,
                spiffe_id,
                groups: groups.into_iter().map(Into::into).collect(),
                rate,
            });
        }
        table.finish();
    }
    if callers.iter().all(|caller| caller.spiffe_id.is_none()) {
        for tls in listen.into_iter().flat_map(Listen::over_tls) {
            let table = tls.files.service.table();
            root.note(format!(
                "[{table}] is there, and no [[caller]] has a spiffe_id to call with"
            ));
        }
    }
    Some(callers.into_iter().collect())
}
