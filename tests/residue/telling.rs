//! A Vault of the test's own that wraps and unwraps, and whose errors carry the
//! plaintext.

use std::{
    collections::HashMap,
    fs,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign::kms::vault_transit::{Login, Settings, Timeouts};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    instance::Custodian,
    tool::needle::{Kind, Needle},
};
use crate::support::{
    https::{HttpsServer, Reply, Seen},
    pki::Authority,
};

/// The server and its files.
pub struct TellingVault {
    directory: TempDir,
    server: HttpsServer,
    token: String,
    readers_token: String,
}

#[derive(Default)]
struct State {
    /// Plaintexts by ciphertext.
    wrapped: Mutex<HashMap<String, String>>,
    decrypts: AtomicUsize,
}

impl TellingVault {
    /// Starts it.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.write_certificate(directory.path());
        authority.write_server_certificate(directory.path());
        fs::write(directory.path().join("secret-id"), "a-secret-id\n").unwrap();
        let [token, readers_token] = [(), ()].map(|()| {
            let mut bytes = [0; 69];
            getrandom::fill(&mut bytes).unwrap();
            // As Vault writes them: six bits a character.
            format!("hvs.{}", URL_SAFE_NO_PAD.encode(bytes))
        });
        let state = State::default();
        let tokens = (token.clone(), readers_token.clone());
        let server = HttpsServer::start(directory.path(), move |request| {
            state.answer(request, &tokens.0, &tokens.1)
        });
        Self { directory, server, token, readers_token }
    }

    /// How an instance uses it, and the reader.
    pub fn custodian(&self) -> Custodian {
        let login = || {
            Some(Login::AppRole {
                mount: "approle".to_owned(),
                role_id: "role".to_owned(),
                secret_id_file: self.directory.path().join("secret-id"),
            })
        };
        let settings = Settings {
            addresses: vec![self.server.url()],
            ca_file: self.directory.path().join("ca.pem"),
            namespace: None,
            mount: "transit".to_owned(),
            key: "countersign-test".to_owned(),
            signer: login(),
            custodian: login(),
            rotator: None,
            timeouts: Timeouts::default(),
        };
        Custodian::Vault(Box::new(settings), self.readers_token.clone())
    }

    /// The token that it gives to the instance.
    pub fn token(&self) -> Needle {
        Needle {
            name: "vault-token".to_owned(),
            kind: Kind::Bytes,
            bytes: self.token.clone().into_bytes(),
        }
    }
}

impl State {
    fn answer(&self, request: &Seen, token: &str, readers_token: &str) -> Reply {
        let path = request.uri().path();
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        match path.trim_start_matches("/v1/").split('/').nth(1) {
            Some("approle") => Reply::json(200, login(token)),
            Some("encrypt") => {
                let mut wrapped = self.wrapped.lock().unwrap();
                let ciphertext = format!("vault:v1:{:08}", wrapped.len());
                let plaintext = body["plaintext"].as_str().unwrap().to_owned();
                wrapped.insert(ciphertext.clone(), plaintext);
                Reply::json(200, json!({"data": {"ciphertext": ciphertext}}))
            }
            Some("decrypt") => {
                let wrapped = self.wrapped.lock().unwrap();
                let plaintext = &wrapped[body["ciphertext"].as_str().unwrap()];
                if request.headers()["x-vault-token"] == readers_token {
                    return Reply::json(200, json!({"data": {"plaintext": plaintext}}));
                }
                self.decrypted(plaintext)
            }
            _ => Reply::json(200, json!({"data": {}})),
        }
    }

    /// In turn right, wrong in the ways that are read, and broken; never broken so
    /// often in a row that it would no longer be asked.
    fn decrypted(&self, plaintext: &str) -> Reply {
        let right = json!({"data": {"plaintext": plaintext}});
        let errors = json!({"errors": [plaintext, "and more"], "data": {"plaintext": plaintext}});
        match self.decrypts.fetch_add(1, Ordering::SeqCst) % 10 {
            1 => Reply::json(400, errors),
            2 => Reply::json(404, errors),
            3 => Reply::json(500, errors),
            5 => Reply::json(200, json!({"data": {"plaintext": [plaintext]}})),
            6 => Reply::json(200, json!({"data": plaintext, "request_id": [plaintext]})),
            7 => Reply::json(418, format!("not JSON: {plaintext}")),
            _ => Reply::json(200, right),
        }
    }
}

fn login(token: &str) -> Value {
    json!({
        "request_id": "told", "lease_id": "", "renewable": false, "lease_duration": 0,
        "data": null, "wrap_info": null, "warnings": null,
        "auth": {
            "client_token": token, "accessor": "a", "policies": [], "token_policies": [],
            "metadata": null, "lease_duration": 3600, "renewable": true, "entity_id": "",
            "token_type": "service", "orphan": true,
        },
    })
}
