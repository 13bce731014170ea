//! `countersign share import-key`, `seal`, `submit`, and `import`, which is all three.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    time::SystemTime,
};

use clap::{Args, Subcommand};

use super::{
    Custody, algorithm, print,
    sealed::Document,
    secret::{self, Format},
    share_id, wallet_id,
};
use crate::{
    audit::note::Name,
    cli::{block_on, failure::Failure, input, target::Target},
    enclave::Enclave,
    harden::harden,
    import::{Declared, Statement, seal},
    key::{AccountAddress, Algorithm, Binding, PublicKey, ShareId, WalletId},
    memory::{Budget, Level},
    policy::NewShare,
    proto,
};

/// The longest statement that is read, in bytes.
const STATEMENT_MAX: usize = 4096;

#[derive(Subcommand)]
pub enum Step {
    /// Get a key to which one share can be sealed, and who says so
    ///
    /// Prints a statement that the instance signed. The key opens one import, at this
    /// instance, for ten minutes.
    #[command(name = "import-key")]
    Key {
        #[command(flatten)]
        target: Target,
    },
    /// Seal a secret for an import; needs no connection
    ///
    /// Prints the request for `submit` as JSON, which holds nothing secret. The statement
    /// is believed from the trusted key alone.
    Seal {
        /// The file with the statement of `import-key`
        #[arg(long, value_name = "FILE")]
        statement: PathBuf,
        #[command(flatten)]
        secret: Secret,
    },
    /// Import what was sealed
    Submit {
        #[command(flatten)]
        to: Custody,
        /// The file that `seal` printed, or - for standard input
        sealed: PathBuf,
    },
    /// Import a secret: import-key, seal and submit in one
    #[command(name = "import")]
    All {
        #[command(flatten)]
        to: Custody,
        #[command(flatten)]
        secret: Secret,
    },
}

/// What is sealed, and what for.
#[derive(Args)]
pub struct Secret {
    /// A file with the key of the instance, name+hash+base64, from elsewhere than the server
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// A file with the secret, or - for standard input; /dev/fd/N for a descriptor
    #[arg(long, value_name = "FILE")]
    secret: PathBuf,
    /// How the secret is written
    #[arg(long, value_name = "NAME", value_enum)]
    format: Format,
    /// A file with the password of the keystore
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Which of several externalServerKeyShares, from 0
    #[arg(long, value_name = "N")]
    index: Option<usize>,
    /// The new share's id, a UUID; a random one when left out
    #[arg(long, value_name = "UUID", value_parser = share_id)]
    share_id: Option<ShareId>,
    /// The wallet that it belongs to
    #[arg(long, value_name = "ID", value_parser = wallet_id)]
    wallet_id: WalletId,
    /// ed25519, ecdsa-secp256k1, ecdsa-p256 or schnorr-secp256k1
    #[arg(long, value_name = "NAME", value_parser = algorithm)]
    algorithm: Algorithm,
    /// The public key that it must have, hexadecimal; derived from the secret where neither
    /// this nor an address is given
    #[arg(long, value_name = "HEX")]
    public_key: Option<String>,
    /// The account address that it must have
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    account_address: Option<AccountAddress>,
}

/// A secret that can be sealed.
struct Ready {
    trusted: Name,
    wallet: WalletId,
    share: ShareId,
    algorithm: Algorithm,
    declared: Declared,
    secret: secret::Secret,
}

impl Step {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Key { target } => say(&block_on(import_key(&target))?),
            Self::Seal { statement, secret } => {
                let note = input::read(&statement, STATEMENT_MAX);
                let note = note.map_err(|error| Failure::at(&statement, &error))?;
                let sealed = secret.read()?.seal(&String::from_utf8_lossy(&note))?;
                say(&format!("{}\n", serde_json::to_string_pretty(&sealed)?))
            }
            Self::Submit { to, sealed } => {
                let sealed = Document::read(&sealed)?;
                print(&to, &[block_on(submit(&to, sealed))?])
            }
            Self::All { to, secret } => {
                let ready = secret.read()?;
                let statement = block_on(import_key(&to.target))?;
                let sealed = ready.seal(&statement)?;
                print(&to, &[block_on(submit(&to, sealed))?])
            }
        }
    }
}

impl Secret {
    /// Reads all that is to be sealed, before a key is asked for.
    fn read(self) -> Result<Ready, Failure> {
        harden()?;
        let trusted = fs::read_to_string(&self.trust);
        let trusted = trusted.map_err(|error| Failure::at(&self.trust, &error))?;
        let trusted = Name::parse(&trusted).map_err(|error| Failure::at(&self.trust, &error))?;
        let password = self.password_file.as_deref();
        let secret = secret::load(&self.secret, self.format, password, self.index, self.algorithm)?;
        let declared = match secret.binding {
            Binding::Derived => self.declared(derive(self.algorithm, &secret.plaintext)?)?,
            Binding::Declared => self.declared_of_opaque(secret.public_key)?,
        };
        let share = self.share_id.unwrap_or_else(ShareId::random);
        let (wallet, algorithm) = (self.wallet_id, self.algorithm);
        Ok(Ready { trusted, wallet, share, algorithm, declared, secret })
    }

    /// The public key that was named.
    fn named(&self) -> Result<Option<PublicKey>, Failure> {
        let Some(text) = &self.public_key else { return Ok(None) };
        let key = input::hexadecimal(text);
        let key = key.and_then(|bytes| PublicKey::parse(self.algorithm, &bytes).ok());
        key.map(Some).ok_or_else(|| {
            Failure::new(format!("--public-key is none of {} in hexadecimal", self.algorithm))
        })
    }

    fn declare(&self, key: Option<PublicKey>) -> Result<Declared, Failure> {
        let address = self.account_address.clone();
        let field = if address.is_some() { "--account-address" } else { "--public-key" };
        let declared = Declared::new(self.algorithm, key, address);
        declared.map_err(|rule| Failure::new(format!("{field} {rule}")))
    }

    /// What an opaque share is: what the file and the command line say, which is compared
    /// where both do.
    fn declared_of_opaque(&self, said: Option<PublicKey>) -> Result<Declared, Failure> {
        let named = self.named()?;
        if let (Some(named), Some(said)) = (&named, &said)
            && named != said
        {
            return Err(Failure::new("the file is of another public key. Nothing was sealed"));
        }
        self.declare(named.or(said))
    }

    /// What the share must turn out to be, which the secret is.
    fn declared(&self, derived: PublicKey) -> Result<Declared, Failure> {
        let named = self.named()?;
        let declared =
            self.declare(named.or_else(|| self.account_address.is_none().then_some(derived)))?;
        if !declared.is(&derived) {
            let key = hex::encode(derived.as_bytes());
            return Err(Failure::new(format!(
                "the secret is that of another public key: {key}. Nothing was sealed"
            )));
        }
        Ok(declared)
    }
}

impl Ready {
    /// Seals it to the key of a statement that the trusted instance signed.
    fn seal(self, statement: &str) -> Result<Document, Failure> {
        let Self { trusted, wallet, share, algorithm, declared, secret } = self;
        let secret::Secret { plaintext, binding, .. } = secret;
        let statement = Statement::open(statement, &trusted, SystemTime::now());
        let statement =
            statement.map_err(|error| Failure::new(format!("the statement: {error}")))?;
        // Where it is for is what the trusted key says.
        let environment = statement.environment.clone();
        let new = NewShare { environment, wallet, share, algorithm, binding };
        let sealed = seal(plaintext, &new, &declared, &statement);
        let sealed = sealed.map_err(|error| Failure::new(error.to_string()))?;
        Ok(Document::new(&statement, &new, &declared, &sealed))
    }
}

/// Derives the public key in secret memory, as the enclave will.
fn derive(algorithm: Algorithm, secret: &[u8]) -> Result<PublicKey, Failure> {
    let budget = Budget { slots: 0, large_slots: 0, sections: 1, threads: 0 };
    let enclave = Enclave::start(budget, Level::Mlock);
    let enclave = enclave.map_err(|error| Failure::new(error.to_string()))?;
    enclave.public_key(algorithm, secret).map_err(|_| {
        Failure::new(format!("the secret is no key of {algorithm}: zero, or beyond its order"))
    })
}

/// Asks the custody service for a key.
async fn import_key(target: &Target) -> Result<String, Failure> {
    let mut custody = target.custody().await?;
    let answer = custody.get_import_key(proto::GetImportKeyRequest {}).await?;
    Ok(answer.into_inner().statement)
}

async fn submit(to: &Custody, document: Document) -> Result<proto::Share, Failure> {
    let mut custody = to.target.custody().await?;
    let answer = custody.import_share(document.request()?).await?;
    answer.into_inner().share.ok_or_else(|| Failure::new("the answer holds no share"))
}

/// Prints a statement or a document.
fn say(text: &str) -> Result<(), Failure> {
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

fn address(text: &str) -> Result<AccountAddress, String> {
    text.parse().map_err(|error| format!("{error}"))
}
