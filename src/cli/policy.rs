//! `countersign policy`: what policies decide, asked of them by nobody.

mod case;
mod decided;
mod explain;
mod test;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::failure::Failure;
use crate::{
    config::{Config, ConfigError},
    policy::{Facts, Policy as Policies},
};
use case::CaseFile;

/// Try policies on requests that nobody made
#[derive(Subcommand)]
pub enum Policy {
    Test(test::Test),
    Explain(explain::Explain),
}

/// Which policies, and what they are told.
#[derive(Args)]
struct Asked {
    /// The directory of policies [default: that of --config]
    #[arg(long, value_name = "DIR", required_unless_present = "config")]
    dir: Option<PathBuf>,
    /// A configuration, for the environment, callers, amount limits and tags that a
    /// file of cases does not have itself
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Policy {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Test(test) => test.run(),
            Self::Explain(explain) => explain.run(),
        }
    }
}

impl Asked {
    /// Reads policies and cases; every problem of all of them at once.
    fn load(&self, files: &[PathBuf]) -> Result<(Policies, Vec<CaseFile>), Failure> {
        let mut problems = Vec::new();
        let mut read = |error: ConfigError| problems.push(error.to_string());
        let config = self.config.as_deref().map(Config::load).transpose();
        // Without their configuration, cases would have problems that they have not.
        let (config, files) = match config {
            Ok(config) => (config, files),
            Err(error) => {
                read(error);
                (None, &[][..])
            }
        };
        let load = |file: &PathBuf| CaseFile::load(file, config.as_ref()).map_err(&mut read);
        let cases: Vec<_> = files.iter().map(load).filter_map(Result::ok).collect();
        let directory = self.dir.as_deref();
        let directory = directory.or(config.as_ref().map(|config| &*config.policies));
        // For what it warns of; what policies are told comes with each case.
        let facts = config.as_ref().map_or_else(Facts::default, Config::facts);
        let policies = directory.map(|directory: &Path| Policies::load(directory, facts));
        let policies = policies.transpose().map_err(|found| {
            problems.extend(found.iter().map(ToString::to_string));
        });
        match policies {
            Ok(Some(policies)) if problems.is_empty() => {
                for warning in policies.warnings() {
                    eprintln!("warning: {warning}");
                }
                Ok((policies, cases))
            }
            _ => Err(Failure::configuration(problems.join("\n"))),
        }
    }
}
