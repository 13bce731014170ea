//! How a command fails.

use std::{fmt::Display, path::Path, process::ExitCode};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    app::StartError,
    client::TlsProblem,
    config::ConfigError,
    grpc::{FileProblem, status::code_name},
    harden::SandboxError,
};

/// sysexits.h EX_CONFIG.
const CONFIGURATION: u8 = 78;

/// An exit code and what is printed with it.
pub struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// Something failed.
    pub fn new(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// Something failed at a file or directory.
    pub fn at(path: &Path, error: &dyn Display) -> Self {
        Self::new(format!("{}: {error}", path.display()))
    }

    /// The configuration is wrong.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self { code: CONFIGURATION, message: message.into() }
    }

    /// Something failed, which was told on standard output.
    pub fn told() -> Self {
        Self::new("")
    }

    /// Prints and exits.
    pub fn report(self) -> ExitCode {
        if !self.message.is_empty() {
            eprintln!("{}", self.message);
        }
        ExitCode::from(self.code)
    }
}

/// What a listener of the other service answers.
const OTHER_SERVICE: &str = "this listener does not offer what was asked for: custody is offered \
    on `listen.custody` and [listen.custody_tls], signing on `listen.enclave` and [listen.tls]";

/// The stable reason of a status of ours.
pub fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details.error_info().map_or_else(|| "NO_REASON".to_owned(), |info| info.reason.clone())
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        if status.code() == Code::Unimplemented && status.details().is_empty() {
            return Self::new(OTHER_SERVICE);
        }
        let details = status.get_error_details();
        let retry = details.retry_info().and_then(|retry| retry.retry_delay);
        let retry = retry.map_or_else(String::new, |delay| format!("; retry after {delay:?}"));
        let request = details.request_info();
        let request =
            request.map_or_else(String::new, |info| format!("; request {}", info.request_id));
        Self::new(format!(
            "{}: {} ({}{retry}{request})",
            reason(&status),
            status.message(),
            code_name(status.code())
        ))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::configuration(error.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Policy(_) | StartError::Vault(_) => Self::configuration(error.to_string()),
            _ => Self::new(error.to_string()),
        }
    }
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<Vec<FileProblem>> for Failure {
    fn from(problems: Vec<FileProblem>) -> Self {
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Self::new(lines.join("\n"))
    }
}

impl From<tonic::transport::Error> for Failure {
    fn from(error: tonic::transport::Error) -> Self {
        use std::error::Error;

        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(problem) = cause.downcast_ref::<TlsProblem>() {
                return Self::new(problem.to_string());
            }
            source = cause.source();
        }
        let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
        Self::new(format!("cannot connect{cause}; is the enclave running on this socket?"))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            // Whoever read the output has seen enough.
            return Self { code: 0, message: String::new() };
        }
        Self::new(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::new(error.to_string())
    }
}
