//! What is in PEM files: a certificate with the key that belongs to it, and authorities.
//! The listeners and the client on the command line read theirs here.

use std::time::SystemTime;

use rustls::{
    Error, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

use super::{
    certificate::Certificate,
    files::{Content, FileProblem},
};

/// The chain of a file with the key of another one, and its first certificate. Every
/// problem that both have is noted.
pub(super) fn pair(
    certificate: &Content,
    key: &Content,
    problems: &mut Vec<FileProblem>,
) -> Option<(CertifiedKey, Certificate)> {
    let chain = noted(chain(certificate), problems);
    let good = chain.as_ref().and_then(|(_, leaf)| noted(valid(certificate, leaf), problems));
    let private_key = noted(private_key(key), problems);
    let ((chain, leaf), private_key) = chain.zip(private_key)?;
    let own = noted(own(certificate, key, chain, private_key), problems)?;
    good.map(|()| (own, leaf))
}

/// The authorities of a file.
///
/// One is trusted for as long as it is in the file: its own dates are not looked at, as in
/// RFC 5280 §6.1.1 (d), where a trust anchor is a name and a key.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn authorities(content: &Content) -> Result<RootCertStore, FileProblem> {
    let unreadable = || content.problem("holds a certificate that cannot be read");
    let mut roots = RootCertStore::empty();
    for authority in certificates(content)? {
        // With any other certificate here, whoever has its key could make peers.
        if !Certificate::parse(&authority).ok_or_else(unreadable)?.is_authority() {
            return Err(content.problem(
                "holds a certificate that is not an authority's: only those that sign \
                 certificates of the other side belong there",
            ));
        }
        roots.add(authority).map_err(|_| unreadable())?;
    }
    Ok(roots)
}

/// Sets a problem aside.
pub(super) fn noted<T>(
    result: Result<T, FileProblem>,
    problems: &mut Vec<FileProblem>,
) -> Option<T> {
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

/// A chain, and its first certificate.
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
    certificate: &Content,
    key: &Content,
    chain: Vec<CertificateDer<'static>>,
    private_key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, FileProblem> {
    CertifiedKey::from_der(chain, private_key, &ring::default_provider()).map_err(|error| {
        match error {
            Error::InconsistentKeys(_) => key.problem(format!(
                "is not the key of the first certificate in `{}`: replace both together",
                certificate.name
            )),
            other => key.problem(format!("cannot be used with the certificate: {other}")),
        }
    })
}
