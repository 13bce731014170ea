//! The other side of the listeners: what the client on the command line makes
//! connections with.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, CommonState, client::Resumption, crypto::ring, sign::SingleCertAndKey,
    version::TLS13,
};

use super::{
    files::{Content, FileProblem},
    material::ALPN,
    pair::{authorities, noted, pair},
};

/// Where a client's certificate, its key and the authorities of servers are, in PEM.
pub(crate) struct ClientFiles<'a> {
    pub certificate: &'a Path,
    pub key: &'a Path,
    pub ca: &'a Path,
}

impl ClientFiles<'_> {
    /// Reads the files: TLS 1.3 alone, HTTP/2 alone, trust in these authorities alone.
    ///
    /// # Errors
    /// Every problem that they have, by the options that name them.
    pub(crate) fn load(&self) -> Result<ClientConfig, Vec<FileProblem>> {
        let certificate = Content::read("--certificate-file", self.certificate);
        let key = Content::read("--key-file", self.key);
        let ca = Content::read("--ca-file", self.ca);
        let mut problems = Vec::new();
        let own = pair(&certificate, &key, &mut problems);
        let roots = noted(authorities(&ca), &mut problems);
        let Some(((own, _), roots)) = own.zip(roots) else { return Err(problems) };
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has what TLS 1.3 takes")
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

/// Whether both sides chose HTTP/2. Without it one may take the other for a peer of another
/// protocol (RFC 9113 §3.2).
pub(crate) fn is_h2(session: &CommonState) -> bool {
    session.alpn_protocol() == Some(ALPN)
}
