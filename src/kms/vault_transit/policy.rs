//! The Vault policies of the three roles: what each needs and nothing else.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::Role;
use crate::{envelope::KekContext, key::Environment};

/// The least-privilege policy of a role, as HCL to give to `vault policy write`.
///
/// Each operation is pinned to single items whose `context` begins as those of
/// the environment do. `batch_input` is denied by not being allowed: with it, a
/// request could carry contexts that Vault does not check.
pub fn hcl(role: Role, mount: &str, key: &str, environment: &Environment) -> String {
    let prefix = KekContext::prefix(environment);
    let context = STANDARD.encode(&prefix);
    let (operation, input, value, purpose) = match role {
        Role::Signer => (
            "decrypt",
            "ciphertext",
            r#"["vault:v*"]"#,
            "unwraps the DEK of one record at a time; cannot wrap, rewrap or read the key",
        ),
        Role::Custodian => (
            "encrypt",
            "plaintext",
            "[]",
            "wraps the DEK of a new record; cannot unwrap, and cannot create a key (no \"create\")",
        ),
        Role::Rotator => (
            "rewrap",
            "ciphertext",
            r#"["vault:v*"]"#,
            "moves wrapped DEKs to the newest version of the key; never sees a plaintext",
        ),
    };
    let role = role.as_str();
    let mut hcl = format!(
        r#"# countersign, environment "{environment}", role "{role}":
# {purpose}.
#
# The context of every record of the environment begins with "{prefix}",
# which is "{context}" in base64.
path "{mount}/{operation}/{key}" {{
  capabilities        = ["update"]
  required_parameters = ["{input}", "context"]
  allowed_parameters  = {{
    "{input}" = {value}
    "context" = ["{context}*"]
  }}
}}
"#
    );
    if role == Role::Rotator.as_str() {
        // Writing to a string cannot fail.
        let _ = write!(
            hcl,
            r#"
# Which version is the newest.
path "{mount}/keys/{key}" {{
  capabilities = ["read"]
}}
"#
        );
    }
    hcl.push_str(
        r#"
# Its own token, nobody else's: for roles without Vault's default policy.
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
"#,
    );
    hcl
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(role: Role) -> String {
        hcl(role, "transit", "countersign-test", &"test".parse().unwrap())
    }

    #[test]
    fn each_role_has_its_one_operation() {
        for (role, operation) in
            [(Role::Signer, "decrypt"), (Role::Custodian, "encrypt"), (Role::Rotator, "rewrap")]
        {
            let policy = policy(role);
            for other in ["decrypt", "encrypt", "rewrap", "datakey", "export", "backup"] {
                let path = format!("path \"transit/{other}/");
                assert_eq!(policy.contains(&path), other == operation, "{policy}");
            }
            assert!(!policy.contains("[\"create\"]"));
            assert_eq!(policy.matches('{').count(), policy.matches('}').count());
        }
    }

    /// A pinned prefix has to be whole base64 quanta: otherwise its last
    /// characters depend on what follows.
    #[test]
    fn the_context_is_pinned_by_the_environment() {
        for environment in ["test", "staging", "prod-eu", "a"] {
            let environment: Environment = environment.parse().unwrap();
            let policy = hcl(Role::Signer, "transit", "k", &environment);
            let prefix = KekContext::prefix(&environment);
            let context = STANDARD.encode(format!("{prefix}\u{7f}\u{1}rest"));
            let pinned = policy
                .split_once("\"context\" = [\"")
                .and_then(|(_, rest)| rest.split_once("*\"]"))
                .map(|(pinned, _)| pinned)
                .unwrap();
            assert!(context.starts_with(pinned), "{context} {pinned}");
            assert_eq!(pinned.len() * 3 / 4, prefix.len());
        }
    }
}
