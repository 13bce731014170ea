//! The names in Vault's addresses, looked up by the operating system.

use std::{
    io,
    task::{Context, Poll},
};

use futures_util::{TryFutureExt, future::MapErr};
use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiFuture, GaiResolver, Name};
use tower::Service;

use crate::enclave::clear_registers;

/// Looks names up on threads of ordinary memory. A thread begins with the registers
/// of the one that starts it, where what was copied last may lie.
#[derive(Clone)]
pub(super) struct Resolver(GaiResolver);

/// There is no address for a name, or nobody to ask.
#[derive(Debug, thiserror::Error)]
#[error("its name cannot be looked up")]
pub(super) struct NotFound;

impl Resolver {
    pub(super) fn new() -> Self {
        Self(GaiResolver::new())
    }
}

impl Service<Name> for Resolver {
    type Response = GaiAddrs;
    type Error = NotFound;
    type Future = MapErr<GaiFuture, fn(io::Error) -> NotFound>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), NotFound>> {
        self.0.poll_ready(context).map_err(|_| NotFound)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        clear_registers();
        // The operating system's reason is one for all cases.
        self.0.call(name).map_err(|_| NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::{KmsErrorKind, vault_transit::answer::unanswered};

    #[tokio::test]
    async fn a_name_without_an_address_is_told() {
        // Too long for DNS, so that nobody is asked.
        let name = "a".repeat(64).parse().unwrap();
        let error = Resolver::new().call(name).await.err().unwrap();
        let failure = unanswered("health", &error).error;
        assert_eq!(failure.kind, KmsErrorKind::Unreachable);
        assert_eq!(failure.detail, "health: its name cannot be looked up");
    }
}
