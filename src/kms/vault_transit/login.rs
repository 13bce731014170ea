//! Logging in, renewing and revoking, with `vaultrs` over our own HTTPS client.
//!
//! Its client is put together from its public fields: one that it builds itself
//! follows a redirect with the token, has no timeout and reads the environment.
//! It writes the server's error messages to the log, which is why every call
//! runs with logging off, and drops `Retry-After`, which a login can do without:
//! it backs off anyway. The copies of a token and a credential that it makes
//! inside are freed unwiped.

use std::{path::Path, time::Duration};

use http::StatusCode;
use reqwest::Url;
use rustify::{clients::reqwest::Client as HttpClient, errors::ClientError as HttpError};
use tokio::time::{Instant, timeout_at};
use tracing::{Dispatch, instrument::WithSubscriber};
use vaultrs::{
    api::{AuthInfo, EndpointMiddleware},
    auth,
    client::{VaultClient, VaultClientSettings},
    error::ClientError,
    token::{renew_self, revoke_self},
};
use zeroize::{Zeroize, Zeroizing};

use super::{
    KmsError, KmsErrorKind, Login,
    answer::{Failure, Repeat, Said},
    token::{NotAToken, Token},
    transport::{Transport, unanswered},
};

/// How long a login or a renewal may take, over all addresses.
const WITHIN: Duration = Duration::from_secs(10);
/// The longest lease: 1 year, where Vault's own maximum is 32 days. Nothing is
/// lost with a shorter one, and no date is computed that there is not.
const LEASE_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Gets a token.
pub(super) async fn login(login: &Login, transport: &Transport) -> Result<Token, KmsError> {
    let credential = match login {
        Login::Kubernetes { token_file, .. } | Login::Jwt { token_file, .. } => read(token_file),
        Login::AppRole { secret_id_file, .. } => read(secret_id_file),
        Login::TokenFile { path } => {
            let token = read(path).await?;
            return Token::of_file(token).map_err(not_a_token);
        }
    };
    let credential = credential.await?;
    let call = Call::Login(login, &credential);
    let auth = exchange(transport, call).await?.ok_or_else(undocumented)?;
    let lease = lease(&auth);
    let token = Zeroizing::new(auth.client_token);
    let revocable = auth.token_type != "batch";
    let token = Token::of_login(token, lease, auth.renewable, revocable).map_err(not_a_token)?;
    if token.is_expired() {
        let detail = "login: the token has expired already";
        return Err(KmsError::new(KmsErrorKind::Login, detail));
    }
    Ok(token)
}

/// Prolongs a token.
pub(super) async fn renew(token: &Token, transport: &Transport) -> Result<Token, KmsError> {
    let auth = exchange(transport, Call::Renew(token)).await?;
    let mut auth = auth.ok_or_else(undocumented)?;
    auth.client_token.zeroize();
    Ok(token.renewed(lease(&auth), auth.renewable))
}

fn lease(auth: &AuthInfo) -> Duration {
    Duration::from_secs(auth.lease_duration).min(LEASE_MAX)
}

/// Ends a token.
pub(super) async fn revoke(token: &Token, transport: &Transport) -> Result<(), KmsError> {
    exchange(transport, Call::Revoke(token)).await.map(drop)
}

/// What is asked of the library.
#[derive(Clone, Copy)]
enum Call<'a> {
    Login(&'a Login, &'a str),
    Renew(&'a Token),
    Revoke(&'a Token),
}

impl Call<'_> {
    fn operation(self) -> &'static str {
        match self {
            Self::Login(..) => "login",
            Self::Renew(_) => "renewal",
            Self::Revoke(_) => "revocation",
        }
    }

    async fn make(self, client: &VaultClient) -> Result<Option<AuthInfo>, ClientError> {
        let auth = match self {
            Self::Login(login, credential) => match login {
                Login::Kubernetes { mount, role, .. } => {
                    auth::kubernetes::login(client, mount, role, credential).await
                }
                Login::Jwt { mount, role, .. } => {
                    auth::oidc::login(client, mount, credential, Some(role.clone())).await
                }
                Login::AppRole { mount, role_id, .. } => {
                    auth::approle::login(client, mount, role_id, credential).await
                }
                Login::TokenFile { .. } => Err(ClientError::InvalidLoginMethodError),
            },
            Self::Renew(_) => renew_self(client, None).await,
            Self::Revoke(_) => return revoke_self(client).await.map(|()| None),
        };
        auth.map(Some)
    }
}

/// One call of the library, at the first address that takes it.
async fn exchange(transport: &Transport, call: Call<'_>) -> Result<Option<AuthInfo>, KmsError> {
    let token = match call {
        Call::Login(..) => None,
        Call::Renew(token) | Call::Revoke(token) => Some(token),
    };
    let operation = call.operation();
    let deadline = Instant::now() + WITHIN;
    let mut pass = transport.addresses().pass();
    while let Some(address) = pass.next() {
        let mut client = client(transport, address, token);
        let answer = call.make(&client).with_subscriber(Dispatch::none());
        let result = match timeout_at(deadline, answer).await {
            Ok(result) => result.map_err(|error| failed(operation, error)),
            Err(_) => Err(Failure::too_late(operation)),
        };
        client.middle.token.zeroize();
        if let Some(result) = pass.settle(result) {
            return result.map_err(|failure| failure.error);
        }
    }
    Err(pass.exhausted(operation).error)
}

/// The library's client, with every field set, so that it asks the environment
/// for none.
fn client(transport: &Transport, address: &Url, token: Option<&Token>) -> VaultClient {
    VaultClient {
        http: HttpClient::new(address.as_str(), transport.client()),
        middle: EndpointMiddleware {
            token: token.map_or("", Token::reveal).to_owned(),
            version: "v1".to_owned(),
            wrap: None,
            namespace: transport.namespace(),
        },
        settings: VaultClientSettings {
            address: address.clone(),
            ca_certs: Vec::new(),
            identity: None,
            timeout: None,
            token: String::new(),
            verify: true,
            version: 1,
            wrapping: false,
            namespace: None,
            proxy: None,
        },
    }
}

/// Reads a credential. Its file is small and local, and often changed by others.
async fn read(path: &Path) -> Result<Zeroizing<String>, KmsError> {
    let unreadable = |problem: String| {
        let detail = format!("login: {} {problem}", path.display());
        KmsError::new(KmsErrorKind::Login, detail)
    };
    let bytes = tokio::fs::read(path)
        .await
        .map_err(|error| unreadable(format!("cannot be read: {}", error.kind())))?;
    let bytes = Zeroizing::new(bytes);
    match str::from_utf8(&bytes).map(str::trim) {
        Ok("") => Err(unreadable("is empty".to_owned())),
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(unreadable("is not text".to_owned())),
    }
}

fn undocumented() -> KmsError {
    KmsError::new(KmsErrorKind::Protocol, "login: the answer is not as documented")
}

fn not_a_token(_: NotAToken) -> KmsError {
    KmsError::new(KmsErrorKind::Login, "login: the token is not visible ASCII")
}

/// A status and a class; messages and bodies end here.
fn failed(operation: &'static str, error: ClientError) -> Failure {
    match error {
        ClientError::APIError { code, errors } => {
            refused(operation, code, Said::of_messages(&errors))
        }
        ClientError::RestClientError { source: HttpError::ServerResponseError { code, .. } } => {
            refused(operation, code, Said::default())
        }
        ClientError::RestClientError {
            source: error @ (HttpError::RequestError { .. } | HttpError::ResponseError { .. }),
        } => unanswered(operation, &error),
        _ => {
            let detail = format!("{operation}: the answer is not as documented");
            Failure::new(KmsErrorKind::Protocol, Repeat::Never, detail)
        }
    }
}

/// Auth methods say no with 400, 401 or 403, as each likes; 404 is a mount that
/// is not there.
fn refused(operation: &'static str, code: u16, said: Said) -> Failure {
    match (code, StatusCode::from_u16(code)) {
        (400..=404, _) | (_, Err(_)) => {
            let detail = format!("{operation}: {code}, not accepted");
            Failure::new(KmsErrorKind::Login, Repeat::Never, detail)
        }
        (_, Ok(status)) => Failure::from_status(operation, status, None, said),
    }
}
