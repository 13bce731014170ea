//! A Vault token in memory that is wiped.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// A token and how long it lives. Without `Debug`; the header that carries it is
/// marked sensitive.
pub(super) struct Token {
    header: HeaderValue,
    /// Whether Vault prolongs it.
    pub(super) renewable: bool,
    /// Whether it is ours to end: somebody else's is not, and a batch token
    /// cannot be.
    pub(super) revocable: bool,
    /// The lifetime that the login gave.
    ttl: Duration,
    obtained: Instant,
    expires: Option<Instant>,
}

/// The text is none that a header can carry.
pub(super) struct NotAToken;

impl Token {
    /// A token of a login. Vault says zero of one that is at its end.
    pub(super) fn of_login(
        text: Zeroizing<String>,
        ttl: Duration,
        renewable: bool,
        revocable: bool,
    ) -> Result<Self, NotAToken> {
        let obtained = Instant::now();
        Ok(Self {
            header: header(text)?,
            renewable,
            revocable,
            ttl,
            obtained,
            expires: Some(obtained + ttl),
        })
    }

    /// A token that somebody else keeps alive: as far as is known here, it does
    /// not expire.
    pub(super) fn of_file(text: Zeroizing<String>) -> Result<Self, NotAToken> {
        Ok(Self {
            header: header(text)?,
            renewable: false,
            revocable: false,
            ttl: Duration::ZERO,
            obtained: Instant::now(),
            expires: None,
        })
    }

    /// The same token, prolonged. `ttl` stays that of the login, so that a
    /// shrinking lease shows.
    pub(super) fn renewed(&self, lease: Duration, renewable: bool) -> Self {
        let obtained = Instant::now();
        Self {
            header: self.header.clone(),
            renewable,
            revocable: self.revocable,
            ttl: self.ttl,
            obtained,
            expires: Some(obtained + lease),
        }
    }

    /// The value of `X-Vault-Token`.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// The text, for the client library.
    pub(super) fn reveal(&self) -> &str {
        self.header.to_str().unwrap_or_default()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.header == other.header
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expires.is_some_and(|expires| expires <= Instant::now())
    }

    /// How long it lives yet, none where it does not expire.
    pub(super) fn remaining(&self) -> Option<Duration> {
        let expires = self.expires?;
        Some(expires.saturating_duration_since(Instant::now()))
    }

    pub(super) fn age(&self) -> Duration {
        self.obtained.elapsed()
    }

    /// Whether a renewal gave less than half of what the login gave: the token
    /// nears its maximum, and the next renewal would give less still.
    pub(super) fn nears_its_end(&self) -> bool {
        self.expires.is_some_and(|expires| expires.duration_since(self.obtained) < self.ttl / 2)
    }

    /// When to renew it: after two thirds of its life, less a part that differs
    /// from process to process (`spread` is 0 to 1).
    pub(super) fn due(&self, spread: f64) -> Option<Instant> {
        let life = self.expires?.duration_since(self.obtained);
        Some(self.obtained + life.mul_f64(2.0 / 3.0 - spread / 10.0))
    }
}

/// The header shares one wiped buffer with every request.
fn header(text: Zeroizing<String>) -> Result<HeaderValue, NotAToken> {
    let bytes = Bytes::from_owner(Wiped(text));
    let mut header = HeaderValue::from_maybe_shared(bytes)
        .ok()
        .filter(|header| !header.is_empty() && header.to_str().is_ok())
        .ok_or(NotAToken)?;
    header.set_sensitive(true);
    Ok(header)
}

struct Wiped(Zeroizing<String>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
