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
}

/// The least-privilege policy, as HCL to give to `vault policy write`.
///
/// It does not allow to delete single versions, to undelete them or to read older ones'
/// metadata: what was removed is gone with its history.
pub fn hcl(access: Access, mount: &str, prefix: &str, environment: &Environment) -> String {
    let (purpose, data, metadata) = match access {
        Access::Read => ("reads and lists records; cannot write", r#""read""#, r#""list""#),
        Access::Write => (
            "reads, writes and removes records",
            r#""create", "update", "read""#,
            r#""list", "delete""#,
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
