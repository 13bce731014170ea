//! The one endpoint of a Kubernetes API server that Vault's login asks:
//! TokenReview. It vouches for every token with the claims of a service account,
//! without checking the signature, which is the test's own.

use std::path::Path;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::https::{HttpsServer, Reply, Seen};

/// Starts the endpoint with `server.pem` and `server.key` of `directory`.
pub fn start(directory: &Path) -> HttpsServer {
    HttpsServer::start(directory, review)
}

fn review(request: &Seen) -> Reply {
    let status = |code: u16| {
        let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code});
        Reply::json(code, body)
    };
    if request.uri().path() != "/apis/authentication.k8s.io/v1/tokenreviews" {
        return status(404);
    }
    let Some((spec, claims)) = parse(request.body()) else {
        return status(400);
    };
    let (namespace, account) =
        (&claims["kubernetes.io"]["namespace"], &claims["kubernetes.io"]["serviceaccount"]);
    let (Some(namespace), Some(name)) = (namespace.as_str(), account["name"].as_str()) else {
        return status(400);
    };
    let status = json!({
        "authenticated": true,
        "user": {
            "username": format!("system:serviceaccount:{namespace}:{name}"),
            "uid": account["uid"],
            "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{namespace}")],
        },
        "audiences": spec["audiences"],
    });
    let review = json!({
        "kind": "TokenReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {},
        "spec": spec,
        "status": status,
    });
    Reply::json(201, review)
}

fn parse(body: &[u8]) -> Option<(Value, Value)> {
    let review: Value = serde_json::from_slice(body).ok()?;
    let spec = review.get("spec")?.clone();
    let claims = spec.get("token")?.as_str()?.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    Some((spec, serde_json::from_slice(&claims).ok()?))
}
