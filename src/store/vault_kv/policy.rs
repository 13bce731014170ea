//! The Vault policies of whoever reads and writes records.
#![forbid(unsafe_code)]

use crate::key::Environment;

/// What the login may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Describe, fetch and list: for an enclave that only signs.
    Read,
    /// Write and remove, too: for an enclave with custody, and for `share copy` and
    /// `share restore`.
    Write,
    /// Write what is there already, and destroy what it was before: for the rotator.
    Rotate,
}

/// The least-privilege policy, as HCL to give to `vault policy write`.
///
/// It does not allow to undelete versions: what was removed is gone with its history, and
/// what a rewrapping or a new sealing left behind is destroyed.
pub fn hcl(access: Access, mount: &str, prefix: &str, environment: &Environment) -> String {
    let (purpose, data, metadata) = match access {
        Access::Read => ("reads and lists records; cannot write", r#""read""#, r#""list""#),
        Access::Write => (
            "reads, writes and removes records",
            r#""create", "update", "read""#,
            r#""list", "read", "delete""#,
        ),
        Access::Rotate => (
            "reads records and writes them anew; makes and removes none",
            r#""update", "read""#,
            r#""list", "read""#,
        ),
    };
    let destroy = match access {
        Access::Read => String::new(),
        Access::Write | Access::Rotate => format!(
            r#"
# The versions of a record before it was rewrapped or sealed anew.
path "{mount}/destroy/{prefix}/{environment}/*" {{
  capabilities = ["update"]
}}
"#
        ),
    };
    format!(
        r#"# countersign, environment "{environment}", the store of records:
# {purpose}.
path "{mount}/data/{prefix}/{environment}/*" {{
  capabilities = [{data}]
}}
path "{mount}/metadata/{prefix}/{environment}/*" {{
  capabilities = [{metadata}]
}}
{destroy}
# Whether the engine keeps what it is given.
path "{mount}/config" {{
  capabilities = ["read"]
}}

# Its own token, nobody else's: for roles without Vault's default policy.
path "auth/token/renew-self" {{
  capabilities = ["update"]
}}
path "auth/token/revoke-self" {{
  capabilities = ["update"]
}}
"#
    )
}
