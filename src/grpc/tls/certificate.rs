//! What is read of a certificate here, beyond what verifies it.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use x509_cert::{
    certificate::TbsCertificate,
    der::{Decode, asn1::Ia5String, oid::AssociatedOid},
    ext::pkix::{BasicConstraints, KeyUsage, SubjectAltName, name::GeneralName},
};

use crate::caller::{Peer, SpiffeId};

/// A certificate. That it verifies is not said by this.
pub(super) struct Certificate(TbsCertificate);

/// Why a certificate names no workload.
type Unnamed = &'static str;

/// Not as X.509 encodes one.
const UNREADABLE: Unnamed = "its certificate cannot be read";

impl Certificate {
    /// Parses DER.
    pub(super) fn parse(der: &CertificateDer<'_>) -> Option<Self> {
        Some(Self(x509_cert::Certificate::from_der(der).ok()?.tbs_certificate))
    }

    /// From when on it is valid.
    pub(super) fn not_before(&self) -> SystemTime {
        self.0.validity.not_before.to_system_time()
    }

    /// Until when it is valid.
    pub(super) fn not_after(&self) -> SystemTime {
        self.0.validity.not_after.to_system_time()
    }

    /// Whether it is an authority's, which may sign others.
    pub(super) fn is_authority(&self) -> bool {
        matches!(self.extension::<BasicConstraints>(), Ok(Some(constraints)) if constraints.ca)
    }

    /// Whom the leaf of a verified chain names.
    pub(super) fn peer(leaf: &CertificateDer<'_>) -> Peer {
        let certificate = Self::parse(leaf).ok_or(UNREADABLE);
        match certificate.and_then(|certificate| certificate.spiffe_id()) {
            Ok(spiffe_id) => Peer::Workload(spiffe_id),
            Err(why) => Peer::Nobody(why),
        }
    }

    /// The workload's SPIFFE ID, after the checks of X509-SVID §5.2.
    fn spiffe_id(&self) -> Result<SpiffeId, Unnamed> {
        // "the `CA` field in the basic constraints extension is set to `false`"
        if self.extension::<BasicConstraints>()?.is_some_and(|constraints| constraints.ca) {
            return Err("its certificate is an authority's");
        }
        // "`keyCertSign` and `cRLSign` are not set in the key usage extension"
        let usage = self.extension::<KeyUsage>()?;
        if usage.is_some_and(|usage| usage.key_cert_sign() || usage.crl_sign()) {
            return Err("its certificate may sign certificates or revocation lists");
        }
        // "SVIDs containing more than one URI SAN MUST be rejected."
        let names = self.extension::<SubjectAltName>()?;
        let mut uris = names.iter().flat_map(|names| &names.0).filter_map(uri);
        match (uris.next(), uris.next()) {
            (Some(uri), None) => uri.as_str().parse().map_err(|_| {
                "the URI in its certificate is not the SPIFFE ID of a workload, as this is written"
            }),
            (None, _) => Err("its certificate has no URI among its alternative names"),
            (_, Some(_)) => Err("its certificate has more than one URI among its alternative names"),
        }
    }

    fn extension<'a, T: Decode<'a> + AssociatedOid>(&'a self) -> Result<Option<T>, Unnamed> {
        let found = self.0.get::<T>().map_err(|_| UNREADABLE)?;
        Ok(found.map(|(_critical, extension)| extension))
    }
}

fn uri(name: &GeneralName) -> Option<&Ia5String> {
    match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
