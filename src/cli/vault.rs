//! `countersign vault`.

use std::io::{self, Write};

use clap::{Args, Subcommand, ValueEnum};

use super::failure::Failure;
use crate::{
    key::Environment,
    kms::vault_transit::{Role, names, policy},
    store::vault_kv::{self, policy::Access},
};

/// Help with setting up Vault
#[derive(Subcommand)]
pub enum Vault {
    Policy(Policy),
}

/// Print the least-privilege Vault policy of a role
///
/// For example: countersign vault policy --role signer --environment staging |
/// vault policy write countersign-staging-signer -
#[derive(Args)]
pub struct Policy {
    /// Whose policy
    #[arg(long, value_enum)]
    role: RoleName,
    /// The environment, as in the configuration
    #[arg(long, value_name = "NAME", value_parser = environment)]
    environment: Environment,
    /// Where the Transit engine is mounted
    #[arg(long, value_name = "PATH", default_value = "transit", value_parser = mount)]
    mount: String,
    /// The Transit key, whose name ends with the environment [default:
    /// countersign-<environment>]
    #[arg(long, value_name = "NAME", value_parser = key)]
    key: Option<String>,
    /// Where the KV engine is mounted, for the roles of the store
    #[arg(long, value_name = "PATH", default_value = "secret", value_parser = secret_path)]
    store_mount: String,
    /// The path in it, for the roles of the store
    #[arg(long, value_name = "PATH", default_value = "countersign", value_parser = secret_path)]
    store_prefix: String,
    /// With the right to raise the key's floor (`rotation floor`); for the rotator
    #[arg(long)]
    floor: bool,
    /// With the rights that shredding takes (`share shred`): to add a version to the key, to
    /// raise its floor, and to destroy what is below; for the rotator
    #[arg(long, conflicts_with = "floor")]
    shred: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    /// Unwraps DEKs, for Sign and UseShare
    Signer,
    /// Wraps the DEKs of new records, for GenerateShare and ImportShare
    Custodian,
    /// Moves wrapped DEKs to the newest key version
    Rotator,
    /// Reads and lists records in a KV engine, for an enclave that only signs
    StoreReader,
    /// Reads, writes and removes records in a KV engine, for custody and `share copy`
    Store,
    /// Writes records in a KV engine anew, and destroys their older versions, for `share
    /// rewrap`
    StoreRotator,
}

impl Vault {
    pub fn run(self) -> Result<(), Failure> {
        let Self::Policy(policy) = self;
        let Policy { role, environment, mount, key, store_mount, store_prefix, floor, shred } =
            policy;
        if (floor || shred) && !matches!(role, RoleName::Rotator) {
            return Err(Failure::new("--floor and --shred are for the role rotator"));
        }
        let of_store =
            |access| vault_kv::policy::hcl(access, &store_mount, &store_prefix, &environment);
        let role = match role {
            RoleName::Signer => Role::Signer,
            RoleName::Custodian => Role::Custodian,
            RoleName::Rotator => Role::Rotator,
            RoleName::StoreReader => return print(&of_store(Access::Read)),
            RoleName::Store => return print(&of_store(Access::Write)),
            RoleName::StoreRotator => return print(&of_store(Access::Rotate)),
        };
        let key = key.unwrap_or_else(|| names::key_of(&environment));
        if !names::is_key_of(&key, &environment) {
            return Err(Failure::new(format!(
                "the key {key} must end with \"-{environment}\": one key per environment"
            )));
        }
        let mut hcl = policy::hcl(role, &mount, &key, &environment);
        if floor {
            hcl.push_str(&policy::floor_hcl(&mount, &key));
        }
        if shred {
            hcl.push_str(&policy::shred_hcl(&mount, &key));
        }
        print(&hcl)
    }
}

fn print(hcl: &str) -> Result<(), Failure> {
    write!(io::stdout(), "{hcl}")?;
    Ok(())
}

fn secret_path(text: &str) -> Result<String, String> {
    names::secret_path(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

fn mount(text: &str) -> Result<String, String> {
    names::mount(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

fn key(text: &str) -> Result<String, String> {
    names::key(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

fn environment(text: &str) -> Result<Environment, String> {
    text.parse().map_err(|error| format!("{error}"))
}
