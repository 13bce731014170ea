//! What the configuration lets the process reach: directories and TCP ports.

use std::{
    collections::BTreeSet,
    fs,
    path::{self, Path, PathBuf},
};

use reqwest::Url;

use crate::{
    config::{Config, KmsConfig, StoreConfig},
    grpc::Files,
    kms::vault_transit::{self, Login},
    store::postgres,
};

/// Directories, rather than the files in them: a file that is swapped is another
/// file, and Kubernetes swaps the link `..data` between directories that it
/// makes beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Directories of files to read.
    pub reads: BTreeSet<PathBuf>,
    /// Directories of files to read, make, change and remove.
    pub writes: BTreeSet<PathBuf>,
    /// Directories of the sockets to bind.
    pub sockets: BTreeSet<PathBuf>,
    /// TCP ports to connect to.
    pub connects: BTreeSet<u16>,
    /// TCP ports to listen on.
    pub listens: BTreeSet<u16>,
}

impl Reach {
    /// What a configuration, which was read from `file`, takes.
    pub fn of(config: &Config, file: &Path) -> Self {
        let mut reach = Self {
            // Name servers, for answers that are too long for UDP.
            connects: BTreeSet::from([53]),
            listens: config.metrics.map(|address| address.port()).into_iter().collect(),
            ..Self::default()
        };
        reach.read(file);
        reach.read(&config.policies);
        reach.reads.insert(absolute(&config.policies));
        let sockets = config.listen.custody.iter().chain([&config.listen.enclave]);
        reach.sockets = sockets.map(|socket| holder(socket)).collect();
        for tls in config.listen.over_tls() {
            reach.listens.insert(tls.address.port());
            let Files { certificate, key, client_ca, service: _ } = &tls.files;
            for file in [certificate, key, client_ca] {
                reach.read(file);
            }
        }
        reach.writes.insert(absolute(&config.audit.directory));
        if let Some(webhook) = &config.audit.webhook {
            reach.connects.extend(webhook.url.port_or_known_default());
            reach.read(&webhook.ca_file);
            webhook.token_file.iter().for_each(|file| reach.read(file));
        }
        if let Some(traces) = &config.traces {
            reach.connects.extend(traces.endpoint.port_or_known_default());
            traces.ca_file.iter().for_each(|file| reach.read(file));
        }
        match &config.store {
            StoreConfig::Sqlite { path } => reach.write(path),
            StoreConfig::Postgres(settings) => reach.postgres(settings),
            StoreConfig::VaultKv(settings) => {
                reach.server(&settings.server);
                reach.login(&settings.login);
            }
            StoreConfig::Directory { path } => {
                reach.read(path);
                reach.reads.insert(absolute(path));
            }
        }
        config.central.iter().for_each(|settings| reach.postgres(settings));
        match &config.kms {
            KmsConfig::Local { kek_file } => reach.write(kek_file),
            KmsConfig::VaultTransit(settings) => reach.vault(settings),
        }
        reach
    }

    fn postgres(&mut self, settings: &postgres::Settings) {
        self.connects.insert(settings.port);
        self.read(&settings.password_file);
        self.read(&settings.ca_file);
    }

    fn vault(&mut self, settings: &vault_transit::Settings) {
        self.server(&settings.server());
        let logins = [&settings.signer, &settings.custodian, &settings.rotator];
        logins.into_iter().flatten().for_each(|login| self.login(login));
    }

    fn server(&mut self, server: &vault_transit::Server) {
        self.read(&server.ca_file);
        let addresses = server.addresses.iter();
        let ports = addresses.filter_map(|text| Url::parse(text).ok()?.port_or_known_default());
        self.connects.extend(ports);
    }

    fn login(&mut self, login: &Login) {
        match login {
            Login::Kubernetes { token_file, .. } | Login::Jwt { token_file, .. } => {
                self.read(token_file);
            }
            Login::AppRole { secret_id_file, .. } => self.read(secret_id_file),
            Login::TokenFile { path } => self.read(path),
        }
    }

    fn read(&mut self, file: &Path) {
        self.reads.extend(holders(file));
    }

    fn write(&mut self, file: &Path) {
        self.writes.extend(holders(file));
    }
}

/// The directory that holds a file, and the one that holds what it is a link to
/// now, if that lies elsewhere.
fn holders(file: &Path) -> impl Iterator<Item = PathBuf> {
    let named = holder(file);
    let target = fs::canonicalize(file).ok().map(|target| holder(&target));
    let inside = fs::canonicalize(&named).unwrap_or_else(|_| named.clone());
    let elsewhere = target.filter(|target| !target.starts_with(&inside));
    [named].into_iter().chain(elsewhere)
}

/// The root directory holds everything: a file in it is reached by itself.
fn holder(file: &Path) -> PathBuf {
    let file = absolute(file);
    match file.parent() {
        Some(parent) if parent != Path::new("/") => parent.to_owned(),
        _ => file,
    }
}

fn absolute(file: &Path) -> PathBuf {
    path::absolute(file).unwrap_or_else(|_| file.to_owned())
}
