//! SPIFFE IDs: how a client certificate names its workload.

use std::{fmt, str::FromStr, sync::Arc};

use crate::key::Malformed;

/// The longest SPIFFE ID in bytes (SPIFFE-ID §2.3).
const LENGTH_MAX: usize = 2048;

/// The SPIFFE ID of a workload, such as `spiffe://example.org/ns/payments/sa/api`.
///
/// Two of them are the same exactly when their bytes are, so that only the
/// canonical spelling is one: scheme and trust domain in lower case. It has a
/// path, as that of a workload must (X509-SVID §3.1); without one it would name
/// the trust domain itself. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpiffeId(Arc<str>);

impl SpiffeId {
    /// The id as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The trust domain, whose authorities may vouch for this id.
    pub fn trust_domain(&self) -> &str {
        self.0.split('/').nth(2).unwrap_or_default()
    }
}

impl FromStr for SpiffeId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = Malformed(
            "a SPIFFE ID is spiffe://trust-domain/path of at most 2048 bytes, the trust domain of \
             a-z 0-9 . _ - and the path of segments of A-Z a-z 0-9 . _ - that are not empty, . or ..",
        );
        if text.len() > LENGTH_MAX {
            return Err(malformed);
        }
        // The library takes other spellings for the same id, and has no limit.
        match spiffe::SpiffeId::new(text) {
            Ok(id) if id.to_string() == text && !id.path().is_empty() => Ok(Self(text.into())),
            _ => Err(malformed),
        }
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
