//! `[listen.tls]` and `[listen.custody_tls]`: the listeners on which a client certificate
//! says who calls.

use std::net::SocketAddr;

use super::document::Table;
use crate::grpc::{Files, Service};

/// A TLS listener.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Where it listens: on loopback, unless the configuration says in so many words
    /// that the network may reach it.
    pub address: SocketAddr,
    /// What it is made of.
    pub files: Files,
}

impl TlsConfig {
    /// Notes that another listener cannot have its address as well: the wildcard address
    /// has every other one of its port.
    pub(super) fn refuse_beside(&self, table: &Table<'_>, key: &str, other: SocketAddr) {
        let Self { address, files } = self;
        let meets = address.ip() == other.ip()
            || address.ip().is_unspecified()
            || other.ip().is_unspecified();
        if meets && address.port() == other.port() {
            table.note(format!(
                "`{key}` {other} is the address of `{}.address` {address}: give each listener a \
                 port of its own",
                files.service.table()
            ));
        }
    }
}

/// The listener of a service, if it is there; `beside` is another one.
pub(super) fn read(
    table: Table<'_>,
    service: Service,
    beside: Option<&TlsConfig>,
) -> Option<Option<TlsConfig>> {
    if !table.is_there() {
        return Some(None);
    }
    let what = "an IP address and a port, such as \"127.0.0.1:8443\"";
    let address = table.required("address", what, |value| {
        let address: SocketAddr = value.as_str()?.parse().ok()?;
        (address.port() != 0).then_some(address)
    });
    let from_network =
        table.or("reachable_from_network", "true or false", false, |value| value.as_bool());
    if let (Some(address), Some(false)) = (address, from_network)
        && !address.ip().is_loopback()
    {
        table.note(format!(
            "`{}.address` {address} is not a loopback address: whoever is on its network can \
             connect; write `reachable_from_network = true` if that is meant",
            service.table()
        ));
    }
    if let (Some(address), Some(beside)) = (address, beside) {
        beside.refuse_beside(&table, &format!("{}.address", service.table()), address);
    }
    let certificate = table.path(
        "certificate_file",
        "the path of the server's PEM certificate, with its intermediates",
    );
    let key = table.path("key_file", "the path of the PEM private key of the certificate");
    let client_ca = table
        .path("client_ca_file", "the path of the PEM authorities that sign client certificates");
    table.finish();
    let files = Files { service, certificate: certificate?, key: key?, client_ca: client_ca? };
    from_network?;
    Some(Some(TlsConfig { address: address?, files }))
}
