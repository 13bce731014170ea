//! `[audit]`: where the audit log is, when a file of it has had enough and how long it is
//! kept, how often the log's head is shipped, and which table it is copied into.

use std::{path::PathBuf, time::Duration};

use reqwest::Url;

use super::{document::Table, store::database};
use crate::{
    audit::{Place, Rotation, Settings, webhook::WebhookSettings},
    key::Environment,
    store::postgres,
};

const MIB: u64 = 1024 * 1024;
const MINUTE: Duration = Duration::from_secs(60);
/// What has to be at hand at once (PCI DSS 4.0.1, requirement 10.5.1: three months).
const KEEP_MIN: Duration = Duration::from_secs(90 * 24 * 3600);

/// The log, and the database that it is copied into, if any.
pub(super) fn read(
    table: Table<'_>,
    environment: Option<&Environment>,
) -> Option<(Settings, Option<postgres::Settings>)> {
    let directory = table.path("directory", "the directory of this instance's audit log");
    let size = table.number("file_mib", Some(64), 1..=1024);
    let age = table.duration("file_age", 24 * 60 * MINUTE, MINUTE..=720 * 60 * MINUTE);
    let every = Duration::from_secs(1)..=60 * MINUTE;
    let checkpoints = table.duration("checkpoints", MINUTE, every);
    let compress = table.or("compress", "true or false", true, |value| value.as_bool());
    let what = "a duration in quotes of at least 90days, such as \"400days\", or \"forever\"";
    let keep = table.or("keep", what, None, |value| match value.as_str()? {
        "forever" => Some(None),
        text => humantime::parse_duration(text).ok().filter(|keep| *keep >= KEEP_MIN).map(Some),
    });
    let webhook = webhook(table.table("webhook"));
    let central = central(table.table("postgres"));
    table.finish();
    let place = match environment.is_some_and(Environment::is_production) {
        true => Place::Disk,
        false => Place::Anywhere,
    };
    let rotation = Rotation { size: u64::from(size?) * MIB, age: age? };
    let settings = Settings {
        directory: directory?,
        place,
        rotation,
        checkpoints: checkpoints?,
        compress: compress?,
        keep: keep?,
        webhook: webhook?,
    };
    Some((settings, central?))
}

fn central(table: Table<'_>) -> Option<Option<postgres::Settings>> {
    if !table.is_there() {
        return Some(None);
    }
    let settings = database(&table);
    table.finish();
    settings.map(Some)
}

fn webhook(table: Table<'_>) -> Option<Option<WebhookSettings>> {
    if !table.is_there() {
        return Some(None);
    }
    let what = "an address such as \"https://collector.internal:8443/checkpoints\"";
    let url = table.required("url", what, |value| {
        let url: Url = value.as_str()?.parse().ok()?;
        (url.scheme() == "https" && url.has_host()).then_some(url)
    });
    let ca_file =
        table.path("ca_file", "the path of the PEM certificate of the authority to trust");
    let token_file = table.optional_text("token_file").map(PathBuf::from);
    table.finish();
    Some(Some(WebhookSettings { url: url?, ca_file: ca_file?, token_file }))
}
