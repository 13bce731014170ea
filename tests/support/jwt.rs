//! Service-account tokens, signed with ES256 as a cluster would.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::json;

/// The issuer.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// The namespace of the service accounts.
pub const NAMESPACE: &str = "custody";

/// SubjectPublicKeyInfo of a P-256 key up to the point: RFC 5480 §2.
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A cluster's key for service-account tokens.
pub struct Issuer(SigningKey);

impl Issuer {
    /// A new key.
    pub fn new() -> Self {
        let mut scalar = [0; 32];
        getrandom::fill(&mut scalar).unwrap();
        Self(SigningKey::from_slice(&scalar).unwrap())
    }

    /// The public key, PEM.
    pub fn public_key_pem(&self) -> String {
        let point = self.0.verifying_key().to_sec1_point(false);
        let der = [&SPKI[..], point.as_bytes()].concat();
        let base64 = STANDARD.encode(der);
        format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n")
    }

    /// A token of a service account for the audience `vault`, ten minutes long.
    pub fn token(&self, service_account: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = now.as_secs();
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": "tests"});
        let claims = json!({
            "iss": ISSUER,
            "aud": ["vault"],
            "sub": format!("system:serviceaccount:{NAMESPACE}:{service_account}"),
            "iat": now, "nbf": now, "exp": now + 600,
            "kubernetes.io": {
                "namespace": NAMESPACE,
                "pod": {"name": "signer-0", "uid": "2c1f0f0a-0000-4000-8000-000000000001"},
                "serviceaccount": {
                    "name": service_account,
                    "uid": "2c1f0f0a-0000-4000-8000-000000000002",
                },
            },
        });
        let [header, claims] =
            [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature: Signature = self.0.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}
