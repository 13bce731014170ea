//! What TLS connections are made with: certificate, key and trusted authorities,
//! which hold together or not at all.

use std::{sync::Arc, time::SystemTime};

use rustls::{
    Error, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, UnixTime},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};

use super::{
    files::{Content, Contents, FileProblem, Files, Fingerprint},
    pair::{authorities, noted, pair},
};

/// The protocol of gRPC in a handshake (RFC 7301, RFC 9113 §3.2).
pub(super) const ALPN: &[u8] = b"h2";

/// A set of files that was found good.
pub struct Material {
    /// What handshakes are made with.
    pub(super) server: Arc<ServerConfig>,
    /// Says whether a client's chain is trusted.
    clients: Arc<dyn ClientCertVerifier>,
    /// From when on the server's own certificate is valid.
    pub(super) not_before: SystemTime,
    /// Until when it is.
    pub(super) not_after: SystemTime,
    /// Of the files.
    pub(super) fingerprint: Fingerprint,
}

impl Material {
    /// Reads the files.
    ///
    /// # Errors
    /// Every problem that they have.
    pub fn load(files: &Files) -> Result<Self, Vec<FileProblem>> {
        Self::of(&Contents::read(files))
    }

    /// Until when the server's own certificate is valid.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    pub(super) fn of(contents: &Contents) -> Result<Self, Vec<FileProblem>> {
        let Contents { certificate, key, client_ca } = contents;
        let mut problems = Vec::new();
        let own = pair(certificate, key, &mut problems);
        let clients = noted(clients(client_ca), &mut problems);
        match own.zip(clients) {
            Some(((own, leaf), clients)) if problems.is_empty() => Ok(Self {
                server: Arc::new(server(own, Arc::clone(&clients))),
                clients,
                not_before: leaf.not_before(),
                not_after: leaf.not_after(),
                fingerprint: contents.fingerprint(),
            }),
            _ => Err(problems),
        }
    }

    /// Whether a client's chain, leaf first, is trusted now.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), Error> {
        let (leaf, intermediates) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        self.clients.verify_client_cert(leaf, intermediates, UnixTime::now()).map(drop)
    }
}

/// Trust in these authorities, and in no others.
fn clients(content: &Content) -> Result<Arc<dyn ClientCertVerifier>, FileProblem> {
    let roots = Arc::new(authorities(content)?);
    let provider = Arc::new(ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(roots, provider)
        .build()
        .map_err(|error| content.problem(format!("cannot be used: {error}")))
}

/// TLS 1.3 alone, a client certificate always, HTTP/2 alone. No session is resumed:
/// one would carry a client over that is no longer trusted, and early data could be
/// replayed.
fn server(own: CertifiedKey, clients: Arc<dyn ClientCertVerifier>) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has what TLS 1.3 takes")
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config
}
