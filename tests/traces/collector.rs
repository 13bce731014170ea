//! A collector: the service of the OpenTelemetry protocol, which keeps what it is told.

use std::{
    collections::HashMap,
    net::TcpListener,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::Span,
};
use prost::Message;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Identity, Server, ServerTlsConfig},
};

use crate::support::pki::Pair;

/// It ends when dropped.
pub struct Collector {
    port: u16,
    scheme: &'static str,
    told: Told,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<ExportTraceServiceRequest>>>, bool);

#[tonic::async_trait]
impl TraceService for Told {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if self.1 {
            return std::future::pending().await;
        }
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// On a port of its own; over TLS as this server, if it is given.
    pub fn start(tls: Option<&Pair>) -> Self {
        Self::serve(0, tls, false)
    }

    /// On this port.
    pub fn start_on(port: u16) -> Self {
        Self::serve(port, None, false)
    }

    /// It never answers.
    pub fn hanging() -> Self {
        Self::serve(0, None, true)
    }

    pub fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    fn serve(port: u16, tls: Option<&Pair>, hangs: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = Told(Arc::default(), hangs);
        let mut server = Server::builder();
        if let Some(Pair { certificate, key }) = tls {
            let identity = Identity::from_pem(certificate, key);
            server = server.tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let service = TraceServiceServer::new(told.clone());
        // A thread of its own, so that what the test does holds nothing up.
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let connections = TcpListenerStream::new(listener);
                tokio::select! {
                    served = server.add_service(service).serve_with_incoming(connections) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        Self { port, scheme, told, stop: Some(stop), thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.port)
    }

    pub fn spans(&self) -> Vec<Span> {
        let told = self.told.0.lock().unwrap();
        let resources = told.iter().flat_map(|told| &told.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// What stands above the first spans.
    pub fn resource(&self) -> HashMap<String, String> {
        let told = self.told.0.lock().unwrap();
        let resource = told[0].resource_spans[0].resource.as_ref().unwrap();
        let fields = resource.attributes.iter().filter_map(|field| {
            match field.value.as_ref()?.value.as_ref()? {
                Value::StringValue(text) => Some((field.key.clone(), text.clone())),
                _ => None,
            }
        });
        fields.collect()
    }

    /// All of it, as it was sent.
    pub fn bytes(&self) -> Vec<u8> {
        let told = self.told.0.lock().unwrap();
        told.iter().flat_map(Message::encode_to_vec).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
