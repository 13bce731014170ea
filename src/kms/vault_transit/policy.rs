//! The Vault policies of the three roles: what each needs and nothing else.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::Role;
use crate::{envelope::KekContext, key::Environment};

/// The least-privilege policy of a role, as HCL to give to `vault policy write`.
///
/// `decrypt` and `encrypt` are pinned to single items whose `context` begins as those of
/// the environment do; `batch_input` is denied there by not being allowed: with it, a
/// request could carry contexts that Vault does not check. `rewrap` takes batches alone:
/// it tells no plaintext, and with a wrong context it fails.
pub fn hcl(role: Role, mount: &str, key: &str, environment: &Environment) -> String {
    let name = role.as_str();
    let purpose = match role {
        Role::Signer => {
            "unwraps the DEK of one record at a time, and reads how old the key's versions are; \
             cannot wrap or rewrap"
        }
        Role::Custodian => {
            "wraps the DEK of a new record; cannot unwrap, and cannot create a key (no \"create\")"
        }
        Role::Rotator => {
            "moves wrapped DEKs to the newest version of the key; never sees a plaintext"
        }
    };
    let operation = match role {
        Role::Signer => single("decrypt", "ciphertext", r#"["vault:v*"]"#, mount, key, environment),
        Role::Custodian => single("encrypt", "plaintext", "[]", mount, key, environment),
        Role::Rotator => format!(
            r#"path "{mount}/rewrap/{key}" {{
  capabilities        = ["update"]
  required_parameters = ["batch_input"]
  allowed_parameters  = {{
    "batch_input" = []
  }}
}}
"#
        ),
    };
    let versions = match role {
        Role::Custodian => String::new(),
        Role::Signer | Role::Rotator => format!(
            r#"
# Which versions there are and when each was made; nothing of the key itself.
path "{mount}/keys/{key}" {{
  capabilities = ["read"]
}}
"#
        ),
    };
    format!(
        r#"# countersign, environment "{environment}", role "{name}":
# {purpose}.
{operation}{versions}
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

/// What raising the floor takes besides the rotator's rights: for the login of who does
/// that, and not for one that rewraps every day.
pub fn floor_hcl(mount: &str, key: &str) -> String {
    format!(
        r#"
# The lowest version that still unwraps; nothing else of the key's configuration.
path "{mount}/keys/{key}/config" {{
  capabilities        = ["update"]
  required_parameters = ["min_decryption_version"]
  allowed_parameters  = {{
    "min_decryption_version" = []
  }}
}}
"#
    )
}

/// What shredding takes besides the rotator's rights: for the login of who does that, and
/// for that hour.
pub fn shred_hcl(mount: &str, key: &str) -> String {
    format!(
        r#"
# A new version of the key.
path "{mount}/keys/{key}/rotate" {{
  capabilities = ["update"]
}}

# The lowest versions that still unwrap and wrap; nothing else of the key's configuration.
path "{mount}/keys/{key}/config" {{
  capabilities       = ["update"]
  allowed_parameters = {{
    "min_decryption_version" = []
    "min_encryption_version" = []
  }}
}}

# Destroys the versions below.
path "{mount}/keys/{key}/trim" {{
  capabilities        = ["update"]
  required_parameters = ["min_available_version"]
}}
"#
    )
}

/// An operation on single items of the environment.
fn single(
    operation: &str,
    input: &str,
    value: &str,
    mount: &str,
    key: &str,
    environment: &Environment,
) -> String {
    let prefix = KekContext::prefix(environment);
    let context = STANDARD.encode(&prefix);
    format!(
        r#"#
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
    )
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
