//! Vault's answers: a status and a coarse class, never the text.

use std::{error::Error, io, time::Duration};

use http::StatusCode;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{KmsError, KmsErrorKind, allowance::TooMuch, resolver::NotFound};

/// The most of an error's text that is kept: rustls quotes every name of a
/// certificate that is for another host.
const QUOTED_MAX: usize = 256;

/// A good answer. The body may hold a DEK and is wiped.
pub(super) struct Answer {
    pub(super) operation: &'static str,
    /// A success; of a KV engine 400 and 404, too.
    pub(super) status: StatusCode,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// An attempt that failed, and what may help.
pub(super) struct Failure {
    pub(super) error: KmsError,
    pub(super) repeat: Repeat,
}

/// Whether the same attempt again could succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    Never,
    Once,
    Twice,
    /// This node does not serve; another may, and after a while this one.
    Elsewhere,
    /// The token is refused: `dead` when Vault does not know it, else it lacks
    /// the right.
    WithNewToken {
        dead: bool,
    },
}

/// What an error body says, as far as it decides anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) sealed: bool,
    invalid_token: bool,
    key_not_found: bool,
    too_old: bool,
}

impl Failure {
    pub(super) fn new(kind: KmsErrorKind, repeat: Repeat, detail: impl Into<String>) -> Self {
        Self { error: KmsError::new(kind, detail), repeat }
    }

    /// No answer within the time that there was.
    pub(super) fn too_late(operation: &str) -> Self {
        let detail = format!("{operation}: no answer in time");
        Self::new(KmsErrorKind::Timeout, Repeat::Twice, detail)
    }

    pub(super) fn too_long(operation: &str) -> Self {
        let detail = format!("{operation}: the answer is too long");
        Self::new(KmsErrorKind::Protocol, Repeat::Never, detail)
    }

    /// No room for a connection within the time that there was.
    pub(super) fn waited(operation: &str) -> Self {
        let detail = format!("{operation}: waited for a connection, nothing was sent");
        Self::new(KmsErrorKind::Timeout, Repeat::Never, detail)
    }

    pub(super) fn unreachable(operation: &str, why: &str) -> Self {
        let detail = format!("{operation}: {why}");
        Self::new(KmsErrorKind::Unreachable, Repeat::Twice, detail)
    }

    /// What a status means that is not a success.
    pub(super) fn from_status(
        operation: &str,
        status: StatusCode,
        retry_after: Option<Duration>,
        said: Said,
    ) -> Self {
        use KmsErrorKind as Kind;
        let (kind, repeat, meaning) = match status.as_u16() {
            300..=399 => (Kind::Redirected, Repeat::Twice, "a redirect, not followed"),
            400 if said.key_not_found => (Kind::KeyMissing, Repeat::Never, "no such key"),
            400 if said.too_old => {
                (Kind::KeyVersion, Repeat::Never, "wrapped by a version below the key's floor")
            }
            400 => (Kind::Rejected, Repeat::Never, "wrong context or altered"),
            403 if said.invalid_token => {
                (Kind::Login, Repeat::WithNewToken { dead: true }, "the token is not valid")
            }
            403 => (Kind::Denied, Repeat::WithNewToken { dead: false }, "permission denied"),
            404 => (Kind::KeyMissing, Repeat::Never, "no such mount or key"),
            412 => (Kind::Unavailable, Repeat::Twice, "the node lags behind"),
            429 => (Kind::RateLimited, Repeat::Twice, "rate limit exceeded"),
            503 if said.sealed => (Kind::Sealed, Repeat::Elsewhere, "sealed"),
            503 => (Kind::Unavailable, Repeat::Elsewhere, "not serving"),
            502 | 504 => (Kind::Unavailable, Repeat::Twice, "the gateway failed"),
            500..=599 => (Kind::Unavailable, Repeat::Once, "internal error"),
            _ => (Kind::Protocol, Repeat::Never, "unexpected status"),
        };
        let detail = format!("{operation}: {}, {meaning}", status.as_u16());
        let mut failure = Self::new(kind, repeat, detail);
        failure.error.retry_after = retry_after;
        failure
    }
}

impl Said {
    /// Reads an error body; one that is none says nothing.
    pub(super) fn of(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Errors {
            errors: Vec<String>,
        }
        serde_json::from_slice::<Errors>(body)
            .map(|body| Self::of_messages(&body.errors))
            .unwrap_or_default()
    }

    fn of_messages(messages: &[String]) -> Self {
        let says = |phrase| messages.iter().any(|message| message.contains(phrase));
        Self {
            sealed: says("is sealed"),
            invalid_token: says("invalid token"),
            key_not_found: says("encryption key not found"),
            too_old: says("disallowed by policy (too old)"),
        }
    }
}

/// What the error of one item of a batch means.
pub(super) fn refused_item(operation: &str, message: String) -> KmsError {
    let said = Said::of_messages(&[message]);
    Failure::from_status(operation, StatusCode::BAD_REQUEST, None, said).error
}

/// What `sys/health` means. With `standbyok` a standby is as good as the active
/// node, since it forwards; whatever is not, gives way to the next address.
pub(super) fn from_health(status: StatusCode) -> Failure {
    let (kind, meaning) = match status.as_u16() {
        300..=399 => (KmsErrorKind::Redirected, "a redirect, not followed"),
        501 => (KmsErrorKind::Unavailable, "not initialised"),
        503 => (KmsErrorKind::Sealed, "sealed"),
        472..=474 | 530 => (KmsErrorKind::Unavailable, "not a node that serves"),
        _ => (KmsErrorKind::Unavailable, "unhealthy"),
    };
    let detail = format!("health: {}, {meaning}", status.as_u16());
    Failure::new(kind, Repeat::Elsewhere, detail)
}

/// Auth methods say no with 400, 401 or 403, as each likes; 404 is a mount that
/// is not there.
pub(super) fn from_login(operation: &str, status: StatusCode, said: Said) -> Failure {
    match status.as_u16() {
        code @ 400..=404 => {
            let detail = format!("{operation}: {code}, not accepted");
            Failure::new(KmsErrorKind::Login, Repeat::Never, detail)
        }
        _ => Failure::from_status(operation, status, None, said),
    }
}

/// Why there is no answer. Of the error and its causes only those are quoted
/// that know nothing of the request: the operating system's and rustls's.
pub(super) fn unanswered(operation: &str, error: &(dyn Error + 'static)) -> Failure {
    let mut cause = Some(error);
    let mut system = None;
    while let Some(error) = cause {
        if error.is::<TooMuch>() {
            let detail = format!("{operation}: {error}");
            return Failure::new(KmsErrorKind::Protocol, Repeat::Never, detail);
        }
        if error.is::<NotFound>() {
            return Failure::unreachable(operation, &error.to_string());
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && error.is_parse()
        {
            let detail = format!("{operation}: the answer is not HTTP");
            return Failure::new(KmsErrorKind::Protocol, Repeat::Never, detail);
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            system = Some(error.kind());
            // `source` of an I/O error skips the error that it holds.
            if let Some(held) = error.get_ref() {
                cause = Some(held);
                continue;
            }
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return tls_failed(operation, tls);
        }
        cause = error.source();
    }
    let why = system.map_or_else(|| "no connection".to_owned(), |kind| kind.to_string());
    Failure::unreachable(operation, &why)
}

/// A certificate or a TLS version does not become right by asking again.
fn tls_failed(operation: &str, error: &rustls::Error) -> Failure {
    let mut detail = format!("{operation}: {error}");
    if let Some((cut, _)) = detail.char_indices().nth(QUOTED_MAX) {
        detail.truncate(cut);
    }
    Failure::new(KmsErrorKind::Tls, Repeat::Never, detail)
}
