//! What TLS connections are made with: certificate, key and trusted authorities,
//! which hold together or not at all.

use std::{sync::Arc, time::SystemTime};

use rustls::{
    Error, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};

use super::{
    certificate::Certificate,
    files::{Content, Contents, FileProblem, Files, Fingerprint},
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
        let chain = noted(chain(certificate), &mut problems);
        if let Some((_, leaf)) = &chain {
            noted(valid(certificate, leaf), &mut problems);
        }
        let private_key = noted(private_key(key), &mut problems);
        let clients = noted(clients(client_ca), &mut problems);
        let own = chain.zip(private_key).and_then(|((chain, leaf), private_key)| {
            let own = noted(own(key, chain, private_key), &mut problems)?;
            Some((own, leaf))
        });
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

fn noted<T>(result: Result<T, FileProblem>, problems: &mut Vec<FileProblem>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

/// The certificates of a file, of which there is at least one.
fn certificates(content: &Content) -> Result<Vec<CertificateDer<'static>>, FileProblem> {
    let found = CertificateDer::pem_slice_iter(content.pem()?).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(content.problem("holds no PEM certificate")),
        Err(error) => Err(content.problem(format!("is not PEM: {error}"))),
    }
}

/// The server's chain, and its first certificate.
fn chain(content: &Content) -> Result<(Vec<CertificateDer<'static>>, Certificate), FileProblem> {
    let chain = certificates(content)?;
    let parsed = chain.iter().map(Certificate::parse).collect::<Option<Vec<_>>>();
    match parsed.and_then(|parsed| parsed.into_iter().next()) {
        Some(leaf) => Ok((chain, leaf)),
        None => Err(content.problem("holds a certificate that cannot be read")),
    }
}

/// Nobody would accept another one.
fn valid(content: &Content, leaf: &Certificate) -> Result<(), FileProblem> {
    let now = SystemTime::now();
    let print = humantime::format_rfc3339_seconds;
    if leaf.not_after() < now {
        let expired = print(leaf.not_after());
        return Err(content.problem(format!("expired at {expired}: put a new one in its place")));
    }
    if leaf.not_before() > now {
        let begins = print(leaf.not_before());
        let problem = format!("is not valid before {begins}: compare this machine's clock");
        return Err(content.problem(problem));
    }
    Ok(())
}

fn private_key(content: &Content) -> Result<PrivateKeyDer<'static>, FileProblem> {
    PrivateKeyDer::from_pem_slice(content.pem()?).map_err(|_| {
        content.problem("holds no PEM private key: write it as PKCS#8, SEC1 or PKCS#1, unencrypted")
    })
}

/// The certificate with the key that belongs to it.
fn own(
    key: &Content,
    chain: Vec<CertificateDer<'static>>,
    private_key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, FileProblem> {
    CertifiedKey::from_der(chain, private_key, &ring::default_provider()).map_err(|error| {
        match error {
            Error::InconsistentKeys(_) => key.problem(
                "is not the key of the first certificate in `listen.tls.certificate_file`: \
                 replace both together",
            ),
            other => key.problem(format!("cannot be used with the certificate: {other}")),
        }
    })
}

/// Trust in these authorities, and in no others.
///
/// An authority is trusted for as long as it is in the file: its own dates are not
/// looked at, as in RFC 5280 §6.1.1 (d), where a trust anchor is a name and a key.
fn clients(content: &Content) -> Result<Arc<dyn ClientCertVerifier>, FileProblem> {
    let unreadable = || content.problem("holds a certificate that cannot be read");
    let mut roots = RootCertStore::empty();
    for authority in certificates(content)? {
        // With any other certificate here, whoever has its key could make callers.
        if !Certificate::parse(&authority).ok_or_else(unreadable)?.is_authority() {
            return Err(content.problem(
                "holds a certificate that is not an authority's: only those that sign client \
                 certificates belong there",
            ));
        }
        roots.add(authority).map_err(|_| unreadable())?;
    }
    let provider = Arc::new(ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
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
