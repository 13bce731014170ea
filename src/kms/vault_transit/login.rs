//! Logging in, renewing and revoking: `vaultrs` knows the requests and the answer,
//! our own transport carries them.
//!
//! The library's own client would follow a redirect with the token, read an
//! answer of any length into this thread's fixed heap and write the server's
//! messages to the log.

use std::{fs::OpenOptions, io::Read, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use bytes::Bytes;
use rustify::endpoint::Endpoint;
use rustix::fs::OFlags;
use tokio::time::Instant;
use vaultrs::api::{
    AuthInfo, EndpointResult,
    auth::{
        approle::requests::LoginWithApproleRequest,
        kubernetes::requests::LoginWithKubernetesRequest, oidc::requests::JWTLoginRequest,
    },
    token::requests::{RenewTokenSelfRequest, RevokeTokenSelfRequest},
};
use zeroize::{Zeroize, Zeroizing};

use super::{
    KmsError, KmsErrorKind, Login,
    answer::Answer,
    token::{NotAToken, Token},
    transport::{Request, Transport},
};

/// How long a login or a renewal may take, over all addresses.
const WITHIN: Duration = Duration::from_secs(10);
/// The longest lease: 1 year, where Vault's own maximum is 32 days. Nothing is
/// lost with a shorter one, and no date is computed that there is not.
const LEASE_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The longest credential in bytes: a service account's token has some 1,500.
const CREDENTIAL_MAX: usize = 16 * 1024;

/// Gets a token.
pub(super) async fn login(login: &Login, transport: &Transport) -> Result<Token, KmsError> {
    let request = match login {
        Login::Kubernetes { mount, role, token_file } => written(
            "login",
            LoginWithKubernetesRequest::builder()
                .mount(mount)
                .role(role)
                .jwt(read(token_file)?.as_str())
                .build(),
        ),
        Login::Jwt { mount, role, token_file } => written(
            "login",
            JWTLoginRequest::builder()
                .mount(mount)
                .role(role)
                .jwt(read(token_file)?.as_str())
                .build(),
        ),
        Login::AppRole { mount, role_id, secret_id_file } => written(
            "login",
            LoginWithApproleRequest::builder()
                .mount(mount)
                .role_id(role_id)
                .secret_id(read(secret_id_file)?.as_str())
                .build(),
        ),
        Login::TokenFile { path } => {
            return Token::of_file(read(path)?).map_err(not_a_token);
        }
    };
    let answer = exchange(transport, request?, None).await?;
    let auth = auth(&answer)?;
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
    let request = written("renewal", RenewTokenSelfRequest::builder().build())?;
    let answer = exchange(transport, request, Some(token)).await?;
    let mut auth = auth(&answer)?;
    auth.client_token.zeroize();
    Ok(token.renewed(lease(&auth), auth.renewable))
}

/// Ends a token.
pub(super) async fn revoke(token: &Token, transport: &Transport) -> Result<(), KmsError> {
    let request = written("revocation", RevokeTokenSelfRequest::builder().build())?;
    exchange(transport, request, Some(token)).await.map(drop)
}

/// A request of the library's, to be sent by us.
struct Written {
    operation: &'static str,
    path: String,
    body: Bytes,
}

fn written<E: Endpoint, B>(
    operation: &'static str,
    request: Result<E, B>,
) -> Result<Written, KmsError> {
    let unusable = || KmsError::new(KmsErrorKind::Login, format!("{operation}: not a request"));
    let request = request.map_err(|_| unusable())?;
    let body = request.body().map_err(|_| unusable())?.unwrap_or_default();
    Ok(Written { operation, path: request.path(), body: Bytes::from_owner(Zeroizing::new(body)) })
}

/// One exchange, at the first address that takes it.
async fn exchange(
    transport: &Transport,
    request: Written,
    token: Option<&Token>,
) -> Result<Answer, KmsError> {
    let deadline = Instant::now() + WITHIN;
    // The library's paths begin with a slash, two of them with a tab before it.
    let path = request.path.trim_start().trim_start_matches('/');
    let request = Request::login(request.operation, path, token, request.body);
    let sent = transport.send(&request, deadline).await;
    sent.map_err(|failure| failure.error)
}

/// The parser's own message may quote the token and is dropped.
fn auth(answer: &Answer) -> Result<AuthInfo, KmsError> {
    let result: Option<EndpointResult<()>> = serde_json::from_slice(&answer.body).ok();
    result.and_then(|result| result.auth).ok_or_else(|| {
        let detail = format!("{}: the answer is not as documented", answer.operation);
        KmsError::new(KmsErrorKind::Protocol, detail)
    })
}

fn lease(auth: &AuthInfo) -> Duration {
    Duration::from_secs(auth.lease_duration).min(LEASE_MAX)
}

/// Reads a credential. Its file is small and local, and often changed by others.
/// It is read here and now: what `tokio` reads files with is a thread whose
/// memory is not secret.
fn read(path: &Path) -> Result<Zeroizing<String>, KmsError> {
    let unreadable = |problem: String| {
        let detail = format!("login: {} {problem}", path.display());
        KmsError::new(KmsErrorKind::Login, detail)
    };
    let failed = |error: std::io::Error| unreadable(format!("cannot be read: {}", error.kind()));
    // A pipe without a writer would keep everybody else waiting, too.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(unreadable("is not a file".to_owned()));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(CREDENTIAL_MAX + 1));
    let mut file = file.take(CREDENTIAL_MAX as u64 + 1);
    file.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > CREDENTIAL_MAX {
        return Err(unreadable(format!("is longer than {} KiB", CREDENTIAL_MAX / 1024)));
    }
    match str::from_utf8(&bytes).map(str::trim) {
        Ok("") => Err(unreadable("is empty".to_owned())),
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(unreadable("is not text".to_owned())),
    }
}

fn not_a_token(_: NotAToken) -> KmsError {
    let detail = "login: the token is not visible ASCII of at most 4 KiB";
    KmsError::new(KmsErrorKind::Login, detail)
}
