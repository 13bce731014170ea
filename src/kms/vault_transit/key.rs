//! What Vault says of the key: its versions and its floor.

use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

use serde::Deserialize;

use super::{KekVersion, KekVersions, KmsError, answer::Answer, transit};

#[derive(Deserialize)]
struct Key {
    /// By its number: when a version was made, in seconds since 1970.
    keys: BTreeMap<String, u64>,
    latest_version: u32,
    min_decryption_version: u32,
    /// Not there where nothing was ever trimmed, or 0.
    #[serde(default)]
    min_available_version: u32,
}

/// Reads the answer about a symmetric key.
pub(super) fn versions(answer: &Answer) -> Result<KekVersions, KmsError> {
    let Key { keys, latest_version, min_decryption_version, min_available_version } =
        transit::data(answer)?;
    let senseless = || transit::senseless(answer, "names no versions");
    let version = |(number, created): (String, u64)| {
        let created = UNIX_EPOCH.checked_add(Duration::from_secs(created));
        Some(KekVersion { number: number.parse().ok()?, created })
    };
    let versions: Option<Vec<_>> = keys.into_iter().map(version).collect();
    let mut versions = versions.ok_or_else(senseless)?;
    // Texts are ordered otherwise.
    versions.sort_by_key(|version| version.number);
    match versions.last() {
        Some(newest) if newest.number == latest_version => {
            let kept = min_available_version.max(1);
            Ok(KekVersions { floor: min_decryption_version, kept, versions })
        }
        _ => Err(senseless()),
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn read(keys: &str, latest: u32) -> Result<KekVersions, KmsError> {
        let body = format!(
            r#"{{"data":{{"keys":{keys},"latest_version":{latest},"min_decryption_version":2,
                "name":"k"}}}}"#
        );
        versions(&Answer {
            operation: "keys",
            status: http::StatusCode::OK,
            body: Zeroizing::new(body.into_bytes()),
        })
    }

    #[test]
    fn versions_are_in_the_order_of_numbers() {
        let read = read(r#"{"10":1000,"9":900,"2":200}"#, 10).unwrap();
        let numbers: Vec<_> = read.versions.iter().map(|version| version.number).collect();
        assert_eq!(numbers, [2, 9, 10]);
        let newest = read.newest().unwrap();
        assert_eq!(newest.created, Some(UNIX_EPOCH + Duration::from_secs(1000)));
        assert_eq!((read.floor, read.kept), (2, 1));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (keys, latest) in
            [("{}", 1), (r#"{"1":5}"#, 2), (r#"{"x":5}"#, 1), (r#"{"1":{"public_key":""}}"#, 1)]
        {
            assert!(read(keys, latest).is_err(), "{keys}");
        }
    }
}
