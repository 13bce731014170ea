//! `[traces]`: which collector requests are told of.

use std::{net::IpAddr, path::PathBuf};

use reqwest::Url;

use super::document::Table;
use crate::telemetry::traces::Settings;

/// The collector, if there is one.
pub(super) fn read(table: Table<'_>) -> Option<Option<Settings>> {
    if !table.is_there() {
        return Some(None);
    }
    let what = "an address such as \"https://collector.internal:4317\"";
    let endpoint = table.required("endpoint", what, |value| {
        let url: Url = value.as_str()?.parse().ok()?;
        (matches!(url.scheme(), "https" | "http") && url.has_host()).then_some(url)
    });
    let ca_file = table.optional_text("ca_file").map(PathBuf::from);
    let what = "true or false";
    let unencrypted = table.or("unencrypted", what, false, |value| value.as_bool());
    let what = "a number from 0.0 to 1.0";
    let ratio = table.or("ratio", what, 1.0, |value| {
        let ratio: f64 = value.as_float()?.as_str().parse().ok()?;
        (0.0..=1.0).contains(&ratio).then_some(ratio)
    });
    if let Some(endpoint) = &endpoint {
        match (endpoint.scheme(), &ca_file) {
            ("https", None) => table.note(
                "`traces.ca_file` is missing: the path of the PEM certificate of the authority to \
                 trust",
            ),
            ("http", Some(_)) => table.note("`traces.ca_file` is for an https address"),
            ("http", None) if unencrypted == Some(false) && !is_loopback(endpoint) => {
                table.note(format!(
                    "`traces.endpoint` {endpoint} is not encrypted and not on loopback: whoever is \
                     on the way reads which caller uses which share; use https, or write \
                     `unencrypted = true` if that is meant"
                ));
            }
            _ => {}
        }
    }
    table.finish();
    unencrypted?;
    Some(Some(Settings { endpoint: endpoint?, ca_file, ratio: ratio? }))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || address.is_ok_and(|address: IpAddr| address.is_loopback())
}
