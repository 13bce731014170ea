//! The two services of the contract, and what their TLS listeners are called.

use std::fmt;

/// What a TLS listener offers. Each has files of its own, so that the authority of one
/// service's clients vouches for nobody at the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// The application's.
    Signing,
    /// The operators'.
    Custody,
}

impl Service {
    /// As logs and metrics name its listener.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Custody => "custody",
        }
    }

    /// The table of its listener in the configuration.
    pub fn table(self) -> &'static str {
        match self {
            Self::Signing => "listen.tls",
            Self::Custody => "listen.custody_tls",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
