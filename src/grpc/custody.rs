//! `ShareCustody`: translates the contract to the stories and back. It decides
//! nothing.

use tonic::{Request, Response, Status};

use super::{enclave::answered, gate, message};
use crate::{
    custody::Custody,
    import::{Declared, Sealed},
    key::{Algorithm, Binding, PublicKey, Revision, ShareId, WalletId, Why},
    policy::NewShare,
    proto,
    refusal::Refusal,
};

/// The most shares on one page.
const PAGE_MAX: usize = 1000;
/// How many shares a page has when the client does not say.
const PAGE_DEFAULT: usize = 100;

/// The service.
#[derive(Clone)]
pub struct ShareCustody(pub Custody);

#[tonic::async_trait]
impl proto::share_custody_server::ShareCustody for ShareCustody {
    async fn generate_share(
        &self,
        request: Request<proto::GenerateShareRequest>,
    ) -> Result<Response<proto::GenerateShareResponse>, Status> {
        let (call, request) = message::call(request)?;
        answered(&call, async {
            let share = share_id(&request.share_id)?;
            let wallet = wallet_id(&request.wallet_id)?;
            let algorithm = algorithm(request.algorithm)?;
            let made = self.0.generate(&call, share, wallet, algorithm).await?;
            Ok(proto::GenerateShareResponse { share: Some(message::share(&made)) })
        })
        .await
    }

    async fn get_import_key(
        &self,
        request: Request<proto::GetImportKeyRequest>,
    ) -> Result<Response<proto::GetImportKeyResponse>, Status> {
        let (call, proto::GetImportKeyRequest {}) = message::call(request)?;
        answered(&call, async {
            let statement = self.0.import_key(&call).await?;
            Ok(proto::GetImportKeyResponse { statement })
        })
        .await
    }

    async fn import_share(
        &self,
        request: Request<proto::ImportShareRequest>,
    ) -> Result<Response<proto::ImportShareResponse>, Status> {
        let (call, request) = message::call(request)?;
        answered(&call, async {
            let share = share_id(&request.share_id)?;
            let environment = request.environment.parse();
            let environment = environment.map_err(Refusal::malformed("environment"))?;
            let wallet = wallet_id(&request.wallet_id)?;
            let algorithm = algorithm(request.algorithm)?;
            let declared = declared(algorithm, &request.public_key, &request.account_address)?;
            let key = request.import_key.as_ref().try_into();
            let key = key.map_err(|_| Refusal::invalid("import_key", "has 32 bytes"))?;
            let sealed = Sealed::new(&*request.sealed_share);
            let sealed = sealed.map_err(Refusal::malformed("sealed_share"))?;
            let binding = binding(request.binding)?;
            let new = NewShare { environment, wallet, share, algorithm, binding };
            let imported = self.0.import(&call, new, declared, key, &sealed).await?;
            Ok(proto::ImportShareResponse { share: Some(message::share(&imported)) })
        })
        .await
    }

    async fn list_shares(
        &self,
        request: Request<proto::ListSharesRequest>,
    ) -> Result<Response<proto::ListSharesResponse>, Status> {
        let (call, request) = message::call(request)?;
        answered(&call, async {
            let limit = match request.page_size as usize {
                0 => PAGE_DEFAULT,
                limit @ 1..=PAGE_MAX => limit,
                _ => return Err(Refusal::invalid("page_size", "is at most 1000")),
            };
            let after = match &*request.page_token {
                "" => None,
                token => Some(token.parse::<ShareId>().map_err(|_| {
                    Refusal::invalid("page_token", "is no token that this service gave")
                })?),
            };
            let wallet = match &*request.wallet_id {
                "" => None,
                wallet => Some(wallet_id(wallet)?),
            };
            let page = self.0.list(&call, wallet.as_ref(), after, limit).await?;
            Ok(proto::ListSharesResponse {
                shares: page.shares.iter().map(message::share).collect(),
                next_page_token: page.next.map(|share| share.to_string()).unwrap_or_default(),
            })
        })
        .await
    }

    async fn get_share(
        &self,
        request: Request<proto::GetShareRequest>,
    ) -> Result<Response<proto::GetShareResponse>, Status> {
        let (call, request) = message::call(request)?;
        answered(&call, async {
            let share = self.0.show(&call, share_id(&request.share_id)?).await?;
            Ok(proto::GetShareResponse { share: Some(message::share(&share)) })
        })
        .await
    }

    async fn disable_share(
        &self,
        request: Request<proto::DisableShareRequest>,
    ) -> Result<Response<proto::DisableShareResponse>, Status> {
        let (call, request) = message::call(request)?;
        answered(&call, async {
            let share = share_id(&request.share_id)?;
            let expected = expected(request.expected_revision);
            let why = some_why(&request.reason)?;
            let share = self.0.disable(&call, share, expected, why).await?;
            Ok(proto::DisableShareResponse { share: Some(message::share(&share)) })
        })
        .await
    }

    async fn enable_share(
        &self,
        request: Request<proto::EnableShareRequest>,
    ) -> Result<Response<proto::EnableShareResponse>, Status> {
        let (call, request) = message::call(request)?;
        answered(&call, async {
            let share = share_id(&request.share_id)?;
            let expected = expected(request.expected_revision);
            let why = some_why(&request.reason)?;
            let share = self.0.enable(&call, share, expected, why).await?;
            Ok(proto::EnableShareResponse { share: Some(message::share(&share)) })
        })
        .await
    }

    async fn schedule_destruction(
        &self,
        request: Request<proto::ScheduleDestructionRequest>,
    ) -> Result<Response<proto::ScheduleDestructionResponse>, Status> {
        let (call, request) = message::call(request)?;
        answered(&call, async {
            let share = share_id(&request.share_id)?;
            let expected = expected(request.expected_revision);
            let why = why(&request.reason)?;
            let share = self.0.schedule_destruction(&call, share, expected, why).await?;
            Ok(proto::ScheduleDestructionResponse { share: Some(message::share(&share)) })
        })
        .await
    }

    async fn destroy_share(
        &self,
        request: Request<proto::DestroyShareRequest>,
    ) -> Result<Response<proto::DestroyShareResponse>, Status> {
        let (call, request) = message::call(request)?;
        answered(&call, async {
            let share = share_id(&request.share_id)?;
            let expected = expected(request.expected_revision);
            let why = why(&request.reason)?;
            let share = self.0.destroy(&call, share, expected, why).await?;
            Ok(proto::DestroyShareResponse { share: Some(message::share(&share)) })
        })
        .await
    }

    async fn reencrypt_share(
        &self,
        request: Request<proto::ReencryptShareRequest>,
    ) -> Result<Response<proto::ReencryptShareResponse>, Status> {
        let (call, request) = message::call(request)?;
        answered(&call, async {
            let share = share_id(&request.share_id)?;
            let expected = expected(request.expected_revision);
            let why = some_why(&request.reason)?;
            let share = self.0.reencrypt(&call, share, expected, why).await?;
            Ok(proto::ReencryptShareResponse { share: Some(message::share(&share)) })
        })
        .await
    }
}

fn share_id(text: &str) -> Result<ShareId, Refusal> {
    let share = text.parse().map_err(Refusal::malformed("share_id"))?;
    gate::describe_request(&share, None);
    Ok(share)
}

fn why(text: &str) -> Result<Why, Refusal> {
    text.parse().map_err(Refusal::malformed("reason"))
}

/// Empty is none.
fn some_why(text: &str) -> Result<Option<Why>, Refusal> {
    (!text.is_empty()).then(|| why(text)).transpose()
}

fn wallet_id(text: &str) -> Result<WalletId, Refusal> {
    text.parse().map_err(Refusal::malformed("wallet_id"))
}

/// What is not specified is derived.
fn binding(number: i32) -> Result<Binding, Refusal> {
    match proto::Binding::try_from(number) {
        Ok(proto::Binding::Unspecified | proto::Binding::Derived) => Ok(Binding::Derived),
        Ok(proto::Binding::Declared) => Ok(Binding::Declared),
        Err(_) => Err(Refusal::invalid("binding", "is one of 0 to 2")),
    }
}

fn algorithm(number: i32) -> Result<Algorithm, Refusal> {
    let algorithm = u8::try_from(number).ok();
    let algorithm = algorithm.and_then(|number| Algorithm::try_from(number).ok());
    algorithm.ok_or_else(|| Refusal::invalid("algorithm", "is required: one of 1 to 4"))
}

/// Empty is not declared.
fn declared(algorithm: Algorithm, key: &[u8], address: &str) -> Result<Declared, Refusal> {
    let key = match key {
        [] => None,
        key => Some(
            PublicKey::parse(algorithm, key)
                .map_err(|_| Refusal::invalid("public_key", "is no public key of the algorithm"))?,
        ),
    };
    let address = match address {
        "" => None,
        address => Some(address.parse().map_err(Refusal::malformed("account_address"))?),
    };
    let field = if address.is_some() { "account_address" } else { "public_key" };
    Declared::new(algorithm, key, address).map_err(Refusal::malformed(field))
}

/// 0 means any revision.
fn expected(revision: u64) -> Option<Revision> {
    (revision != 0).then(|| revision.into())
}
