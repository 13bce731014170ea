//! `ShareCustody`: translates the contract to the stories and back. It decides
//! nothing.

use tonic::{Request, Response, Status};

use super::{enclave::answered, gate, message};
use crate::{
    custody::Custody,
    key::{Algorithm, Revision, ShareId},
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
            let wallet = request.wallet_id.parse();
            let wallet = wallet.map_err(Refusal::malformed("wallet_id"))?;
            let algorithm = u8::try_from(request.algorithm).ok();
            let algorithm = algorithm.and_then(|number| Algorithm::try_from(number).ok());
            let algorithm = algorithm
                .ok_or_else(|| Refusal::invalid("algorithm", "is required: one of 1 to 4"))?;
            let made = self.0.generate(&call, share, wallet, algorithm).await?;
            Ok(proto::GenerateShareResponse { share: Some(message::share(&made)) })
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
                wallet => Some(wallet.parse().map_err(Refusal::malformed("wallet_id"))?),
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
            let share = self.0.disable(&call, share, expected).await?;
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
            let share = self.0.enable(&call, share, expected).await?;
            Ok(proto::EnableShareResponse { share: Some(message::share(&share)) })
        })
        .await
    }
}

fn share_id(text: &str) -> Result<ShareId, Refusal> {
    let share = text.parse().map_err(Refusal::malformed("share_id"))?;
    gate::describe_request(&share, None);
    Ok(share)
}

/// 0 means any revision.
fn expected(revision: u64) -> Option<Revision> {
    (revision != 0).then(|| revision.into())
}
