//! Every statement on shares, once, for both SQL stores.
//!
//! Postgres takes `$n` by its number, SQLite numbers the names in the order in
//! which they first occur: so they first occur in ascending order.
#![forbid(unsafe_code)]

/// The public columns.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, environment, wallet_id, account_address, algorithm, public_key, \
             record_version, state, destroy_after, binding, kek_provider, kek_mount, kek_name, created_at, \
             revision",
            $rest
        )
    };
}

pub(super) use select;

/// $1 share.
pub const DESCRIBE: &str = select!(" FROM server_wallet_key_shares WHERE id = $1");

/// $1 share.
pub const FETCH: &str =
    select!(", encrypted_key_shares FROM server_wallet_key_shares WHERE id = $1");

/// $1 environment, $2 the share before the first, $3 limit.
pub const LIST: &str = select!(
    " FROM server_wallet_key_shares WHERE environment = $1 AND id > $2 ORDER BY id LIMIT $3"
);

/// $1 environment, $2 wallet, $3 the share before the first, $4 limit.
pub const LIST_WALLET: &str = select!(
    " FROM server_wallet_key_shares WHERE environment = $1 AND wallet_id = $2 AND id > $3 \
     ORDER BY id LIMIT $4"
);

/// $1 share, $2 environment, $3 wallet, $4 address, $5 algorithm, $6 created at,
/// $7 public key, $8 record version, $9 state, $10 to $12 the KEK's parts, $13
/// the KEK, $14 envelope, $15 binding.
pub const INSERT: &str = "
    INSERT INTO server_wallet_key_shares
        (id, environment, wallet_id, account_address, algorithm, created_at, public_key,
         record_version, state, kek_provider, kek_mount, kek_name, encryption_key_id,
         encrypted_key_shares, binding, revision)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 1)";

/// $1 public key, $2 record version, $3 state, $4 to $6 the KEK's parts, $7 the
/// KEK, $8 envelope, $9 share, $10 expected revision.
pub const REPLACE: &str = "
    UPDATE server_wallet_key_shares SET
        public_key = $1, record_version = $2, state = $3, kek_provider = $4, kek_mount = $5,
        kek_name = $6, encryption_key_id = $7, encrypted_key_shares = $8,
        revision = revision + 1
    WHERE id = $9 AND revision = $10";

/// $1 state, $2 share, $3 expected revision.
pub const SET_STATE: &str = "
    UPDATE server_wallet_key_shares SET state = $1, destroy_after = NULL, revision = revision + 1
    WHERE id = $2 AND revision = $3";

/// $1 when it may be removed, or null; $2 share, $3 expected revision.
pub const SCHEDULE: &str = "
    UPDATE server_wallet_key_shares SET destroy_after = $1, revision = revision + 1
    WHERE id = $2 AND revision = $3";

/// $1 what is written over the envelope, $2 share, $3 expected revision, which stays.
pub const OVERWRITE: &str = "
    UPDATE server_wallet_key_shares SET encrypted_key_shares = $1
    WHERE id = $2 AND revision = $3";

/// $1 share, $2 expected revision.
pub const REMOVE: &str = "DELETE FROM server_wallet_key_shares WHERE id = $1 AND revision = $2";

/// $1 log.
pub const COUNTED: &str = "SELECT next FROM countersign_audit_cursors WHERE log = $1";

/// $1 log, $2 how far it is counted.
pub const FORGET: &str = "DELETE FROM countersign_audit_cursors WHERE log = $1 AND next = $2";

/// Reads the table, so that a missing one or a missing right shows.
pub const STATUS: &str = "SELECT id FROM server_wallet_key_shares LIMIT 1";

/// All of them.
pub const ALL: [&str; 13] = [
    DESCRIBE,
    FETCH,
    LIST,
    LIST_WALLET,
    INSERT,
    REPLACE,
    SET_STATE,
    SCHEDULE,
    OVERWRITE,
    REMOVE,
    COUNTED,
    FORGET,
    STATUS,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_first_occur_in_ascending_order() {
        for statement in ALL {
            let mut seen = Vec::<usize>::new();
            for part in statement.split('$').skip(1) {
                let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
                let number = digits.parse().unwrap();
                if !seen.contains(&number) {
                    seen.push(number);
                }
            }
            assert!(seen.iter().copied().eq(1..=seen.len()), "{statement}");
        }
    }
}
