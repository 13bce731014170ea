//! What has to be known to reach Vault, as the configuration gives it.

use std::{io, path::PathBuf, time::Duration};

use http::HeaderValue;
use reqwest::Url;

use super::{authority, names};
use crate::{envelope::KekRef, key::Malformed, memory::SecretMemoryError};

/// How to reach Vault, and as whom.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `https://host:port` of each node, in order of preference.
    pub addresses: Vec<String>,
    /// The certificate authority of Vault's listener, PEM; no other is trusted.
    pub ca_file: PathBuf,
    /// The namespace, where Vault has them.
    pub namespace: Option<String>,
    /// Where the Transit engine is mounted.
    pub mount: String,
    /// The Transit key.
    pub key: String,
    /// Who unwraps.
    pub signer: Option<Login>,
    /// Who wraps.
    pub custodian: Option<Login>,
    /// Who rewraps.
    pub rotator: Option<Login>,
    /// How long to wait.
    pub timeouts: Timeouts,
}

/// Where Vault is and how it is spoken to, whatever for.
#[derive(Clone, Debug)]
pub struct Server {
    /// `https://host:port` of each node, in order of preference.
    pub addresses: Vec<String>,
    /// The certificate authority of Vault's listener, PEM; no other is trusted.
    pub ca_file: PathBuf,
    /// The namespace, where Vault has them.
    pub namespace: Option<String>,
    /// How long to wait.
    pub timeouts: Timeouts,
}

/// How a role gets its token. Every file is read anew at each login, and the
/// white space around its content does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// A service account's token; Vault asks the cluster whether it still holds.
    Kubernetes {
        /// Where the auth method is mounted.
        mount: String,
        /// The role in Vault.
        role: String,
        /// The projected service-account token.
        token_file: PathBuf,
    },
    /// A signed JWT; Vault checks signature and claims.
    Jwt {
        /// Where the auth method is mounted.
        mount: String,
        /// The role in Vault.
        role: String,
        /// The JWT.
        token_file: PathBuf,
    },
    /// A role id and a secret id.
    AppRole {
        /// Where the auth method is mounted.
        mount: String,
        /// The role id, which is not secret.
        role_id: String,
        /// The secret id.
        secret_id_file: PathBuf,
    },
    /// A token that somebody else, such as Vault Agent, keeps alive: it is
    /// neither renewed nor revoked here, and read anew when Vault refuses it.
    TokenFile {
        /// The token.
        path: PathBuf,
    },
}

/// How long to wait. The caller's deadline holds besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection and its TLS handshake.
    pub connect: Duration,
    /// For one request, the connection included.
    pub request: Duration,
}

/// Why the settings are unusable.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There is no address.
    #[error("no Vault address is given")]
    NoAddress,
    /// An address is not `https://host:port`.
    #[error("{0} is no Vault address: write https://host:port, without a path")]
    Address(String),
    /// The CA file cannot be read.
    #[error("the CA file {path} cannot be read: {error}")]
    CaFile {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The CA file holds no certificate.
    #[error("the CA file {0} holds no PEM certificate that can be used")]
    Ca(PathBuf),
    /// The namespace cannot be sent.
    #[error("the namespace is not visible ASCII")]
    Namespace,
    /// Mount or key is no such name.
    #[error("the Transit key is unusable: {0}")]
    Kek(#[from] Malformed),
    /// A login's mount is no such name.
    #[error("{0} is no mount of an auth method")]
    LoginMount(String),
    /// The TLS client cannot be built.
    #[error("the TLS client cannot be built: {0}")]
    Client(String),
    /// The client's thread cannot have its secret memory.
    #[error("the Vault client's thread cannot be started: {0}")]
    Thread(#[from] SecretMemoryError),
    /// The client's thread has no runtime.
    #[error(
        "the Vault client's runtime cannot be started: {0}. Raise the limit on open files \
         (`ulimit -n`)"
    )]
    Runtime(io::Error),
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(1), request: Duration::from_secs(3) }
    }
}

impl Settings {
    /// Whether the files are there that have to be before a start. Credentials
    /// are not among them: who writes those may start later.
    ///
    /// # Errors
    /// The CA file cannot be read, or holds no certificate.
    pub fn check_files(&self) -> Result<(), SettingsError> {
        self.server().check_files()
    }

    /// Where Vault is.
    pub fn server(&self) -> Server {
        let Self { addresses, ca_file, namespace, timeouts, .. } = self.clone();
        Server { addresses, ca_file, namespace, timeouts }
    }

    /// The KEK, when mount, key and logins can be parts of a URL.
    pub(super) fn check(&self) -> Result<KekRef, SettingsError> {
        let logins = [&self.signer, &self.custodian, &self.rotator];
        for mount in logins.into_iter().flatten().filter_map(Login::mount) {
            names::login_mount(mount)?;
        }
        names::kek(&self.mount, &self.key)
    }
}

impl Server {
    /// Whether the files are there that have to be before a start.
    ///
    /// # Errors
    /// The CA file cannot be read, or holds no certificate.
    pub fn check_files(&self) -> Result<(), SettingsError> {
        authority::read(&self.ca_file).map(drop)
    }

    /// The base URLs.
    pub(super) fn urls(&self) -> Result<Vec<Url>, SettingsError> {
        if self.addresses.is_empty() {
            return Err(SettingsError::NoAddress);
        }
        let urls = self.addresses.iter();
        urls.map(|address| names::address(address)).collect()
    }

    /// The namespace header.
    pub(super) fn namespace_header(&self) -> Result<Option<HeaderValue>, SettingsError> {
        self.namespace.as_deref().map(names::namespace).transpose()
    }
}

impl Login {
    /// Where its auth method is mounted; none for a token.
    pub(super) fn mount(&self) -> Option<&str> {
        match self {
            Self::Kubernetes { mount, .. }
            | Self::Jwt { mount, .. }
            | Self::AppRole { mount, .. } => Some(mount),
            Self::TokenFile { .. } => None,
        }
    }
}
