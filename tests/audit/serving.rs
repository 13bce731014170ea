//! A confined server whose log is about to fail, and clients that sign without pause.

use std::{path::PathBuf, sync::Arc};

use countersign::audit::record::Outcome;
use tonic::Code;

use super::{
    Log, counted,
    held::{Client, Clients, Held},
};
use crate::{
    hardened::serving::assert_confined,
    support::{
        refused::assert_refused,
        served::{Home, Served, Share},
    },
};

pub struct Serving {
    pub served: Served,
    pub clients: Clients,
    share: Arc<Share>,
    /// By others than the clients.
    held: Vec<Held>,
    /// Where the log is seen from here.
    audit: PathBuf,
}

/// How many clients sign, and how.
#[derive(Clone, Copy)]
pub struct Load {
    pub calls: usize,
    pub streams: usize,
}

impl Serving {
    pub async fn start(served: Served, audit: PathBuf, load: Load) -> Self {
        assert_confined(&served);
        let share = Arc::new(served.generate().await);
        let Load { calls, streams } = load;
        let clients = Clients::start(&served.socket(), &share, calls, streams).await;
        let serving = Self { served, clients, share, held: Vec::new(), audit };
        serving.goes_on().await;
        serving
    }

    /// Signatures are made.
    pub async fn goes_on(&self) {
        let before = self.clients.held();
        self.served.until("it signs", |_| self.clients.held() >= before + 50).await;
    }

    /// Readiness is off, everybody is refused, and nobody holds more than before.
    pub async fn releases_nothing(&self) {
        let Self { served, clients, .. } = self;
        served.until("readiness is off", |served| served.metric("ready") == Some(0)).await;
        // Whoever was refused has seen every answer before that.
        self.each_is_refused(1).await;
        let held = clients.held();
        self.is_refused().await;
        self.each_is_refused(1).await;
        assert_eq!(clients.held(), held);
        assert_eq!(served.metric("audit_writable"), Some(0));
    }

    /// Each client is, so often.
    pub async fn each_is_refused(&self, times: u64) {
        let before = self.clients.refused();
        let so_often = |_: &Served| {
            let now = self.clients.refused();
            now.iter().zip(&before).all(|(now, before)| now - before >= times)
        };
        self.served.until("each is refused", so_often).await;
    }

    /// A new request is, of a client of its own.
    pub async fn is_refused(&self) {
        let refused = self.served.sign(&self.share).await.unwrap_err();
        assert_refused(&refused, Code::Internal, "AUDIT_FAILED");
    }

    /// Without a restart.
    pub async fn recovers(&self) {
        self.served.until("readiness is back", |served| served.metric("ready") == Some(1)).await;
        assert_eq!(self.served.metric("audit_writable"), Some(1));
    }

    /// A few signatures are made while the clients rest.
    pub async fn signs(&mut self) {
        let name = format!("alone-{}", self.held.len());
        let mut client = Client::connect(&self.served.socket(), &self.share, name).await;
        for _ in 0..10 {
            client.call().await.unwrap();
        }
        self.held.extend(client.into_held());
    }

    /// Ends it. The log is intact, it has whatever somebody holds, and the store has counted
    /// that, to the last signature.
    pub async fn end(self) -> (Home, Log) {
        let Self { served, clients, mut held, audit, .. } = self;
        held.extend(clients.stop().await);
        let database = served.home.path("db/shares.db");
        let home = served.stop_keeping();
        assert_eq!(counted(&database), Log::uses(&audit));
        let log = Log::read(&audit);
        Held::are_recorded(&held, &log);
        // Not of frames: an answer can be on its way when its stream ends.
        let signed = log.requests.values().filter(|(request, ended)| {
            request.stream.is_none() && ended.outcome == Outcome::Signed
        });
        let calls = held.iter().filter(|held| held.is_of_a_call());
        assert_eq!(signed.count(), calls.count());
        (home, log)
    }
}
