//! What the settings may say: texts that become parts of URLs, of headers and of
//! policies.

use http::HeaderValue;
use reqwest::Url;

use super::{PROVIDER, SettingsError};
use crate::{
    envelope::KekRef,
    key::{Environment, Malformed},
};

/// `https://host:port`, and nothing behind it.
pub(crate) fn address(text: &str) -> Result<Url, SettingsError> {
    Url::parse(text)
        .ok()
        .filter(|url| url.scheme() == "https" && url.path() == "/")
        .filter(|url| url.query().is_none() && url.fragment().is_none())
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .ok_or_else(|| SettingsError::Address(text.to_owned()))
}

/// A namespace, as its header.
pub(crate) fn namespace(text: &str) -> Result<HeaderValue, SettingsError> {
    HeaderValue::from_str(text).map_err(|_| SettingsError::Namespace)
}

/// Where an auth method is mounted.
pub(crate) fn login_mount(text: &str) -> Result<(), SettingsError> {
    if is_path(text) {
        return Ok(());
    }
    Err(SettingsError::LoginMount(text.to_owned()))
}

/// Where a KV engine is mounted, or what is in it.
pub(crate) fn secret_path(text: &str) -> Result<(), Malformed> {
    match is_path(text) {
        true => Ok(()),
        false => Err(Malformed("a path may not hold empty, . or .. parts")),
    }
}

/// Where a Transit engine is mounted.
pub(crate) fn mount(text: &str) -> Result<(), SettingsError> {
    kek(text, "key").map(drop)
}

/// The name of a Transit key.
pub(crate) fn key(text: &str) -> Result<(), SettingsError> {
    kek("transit", text).map(drop)
}

/// A Transit key and its mount.
pub(crate) fn kek(mount: &str, key: &str) -> Result<KekRef, SettingsError> {
    let kek = KekRef::new(PROVIDER, mount, key)?;
    if !is_path(kek.mount()) || !is_path(kek.name()) {
        return Err(Malformed("a path may not hold empty, . or .. parts").into());
    }
    Ok(kek)
}

/// The name of an environment's key, unless it is given another.
pub(crate) fn key_of(environment: &Environment) -> String {
    format!("countersign-{environment}")
}

/// Whether a key's name names the environment, so that one environment cannot
/// use another's key by mistake.
pub(crate) fn is_key_of(key: &str, environment: &Environment) -> bool {
    key.strip_suffix(environment.as_str()).is_some_and(|rest| rest.ends_with('-'))
}

/// Whether a URL keeps the text as it is: no dots to resolve, nothing to escape.
fn is_path(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.split('/').all(|part| !matches!(part, "" | "." | "..") && part.chars().all(word))
}
