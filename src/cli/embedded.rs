//! The embedded default in a directory of its own: a KEK in a file, SQLite, both
//! sockets, and a configuration that `serve` can be started with.

use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;

use super::failure::Failure;
use crate::{
    app::{App, PartFailed},
    config::Config,
    shutdown::Shutdown,
    sign::Signing,
};

/// What the demo's callers may do.
const POLICY: &str = include_str!("demo/demo.cedar");

/// A running enclave.
pub(super) struct Running {
    shutdown: Shutdown,
    task: JoinHandle<Result<(), PartFailed>>,
}

/// Writes policies and configuration into `dir`; gives the configuration's file.
pub(super) fn prepare(dir: &Path) -> Result<PathBuf, Failure> {
    std::fs::create_dir_all(dir.join("policies"))?;
    std::fs::write(dir.join("policies/demo.cedar"), POLICY)?;
    let file = dir.join("countersign.toml");
    std::fs::write(&file, document(dir)?)?;
    Ok(file)
}

/// Starts an enclave over parts that are there already.
pub(super) async fn start(signing: Signing, config: Config) -> Result<Running, Failure> {
    let app = App::over(signing, config, Vec::new(), None).await?;
    let (shutdown, draining) = Shutdown::new();
    let task = tokio::spawn(app.run(draining));
    Ok(Running { shutdown, task })
}

impl Running {
    /// Drains it, and waits until it has ended.
    pub(super) async fn stop(self) {
        self.shutdown.start();
        let _ = self.task.await;
    }
}

fn document(dir: &Path) -> Result<String, Failure> {
    let path = |name: &str| {
        let path = std::path::absolute(dir)?.join(name);
        let text = path.to_str().ok_or_else(|| {
            Failure::new(format!("{}: a directory must be UTF-8", path.display()))
        })?;
        Ok::<_, Failure>(toml::Value::from(text))
    };
    Ok(format!(
        r#"environment = "demo"

[listen]
enclave = {enclave}
custody = {custody}
mode = "0600"
custody_mode = "0600"

[[caller]]
name = "demo"
uid = {uid}

[policy]
directory = {policies}

[store]
kind = "sqlite"
path = {shares}

[kms]
kind = "local"
kek_file = {kek}

[audit]
directory = {audit}

[limits]
grace = "2s"

[log]
level = "warn"
"#,
        enclave = path("enclave.sock")?,
        custody = path("custody.sock")?,
        uid = rustix::process::getuid().as_raw(),
        policies = path("policies")?,
        shares = path("shares.db")?,
        kek = path("kek")?,
        audit = path("audit")?,
    ))
}
