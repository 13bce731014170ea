//! `countersign audit forget`.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;

use crate::{
    app,
    audit::verify::verify,
    cli::{block_on, failure::Failure},
    config::Config,
    projection::count_all,
};

/// Forget how far a log is counted, when no server will write it again
///
/// The store keeps a row for every log that it has counted. This counts an intact log to its
/// end and removes its row. A log that is served again afterwards would be counted again.
#[derive(Args)]
pub struct Forget {
    /// The directory of the log, or of a copy of all its files
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The configuration, for its store
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Forget {
    pub fn run(self) -> Result<(), Failure> {
        let config = Config::load(&self.config)?;
        let at = |what: &dyn std::fmt::Display| Failure::at(&self.directory, what);
        let report = verify(&self.directory, &[], |_| ()).map_err(|error| at(&error))?;
        if !report.findings.is_empty() {
            return Err(at(&"the log is not intact: run `countersign audit verify`"));
        }
        let log = report.instance.ok_or_else(|| at(&"there is no audit log"))?;
        block_on(async {
            let store = app::store(&config.store).await?;
            let forgotten = async {
                let counted = count_all(&*store, log, &self.directory, report.size).await;
                let counted = counted.map_err(|error| at(&error))?;
                if counted < report.size {
                    let what = "has no outcome: start a server on it once";
                    return Err(at(&format!("record {counted} {what}")));
                }
                let forgotten = store.forget(log, counted).await;
                if !forgotten.map_err(|error| Failure::new(format!("store: {error}")))? {
                    return Err(at(&"somebody else counts it: is a server writing it?"));
                }
                writeln!(io::stdout(), "{log}: forgotten at record {}", report.size)?;
                Ok(())
            };
            let done = forgotten.await;
            store.close().await;
            done
        })
    }
}
