-- What the row says of itself beside the envelope; the envelope is the truth.
CREATE TABLE server_wallet_key_shares (
    id                   BLOB PRIMARY KEY CHECK (length(id) = 16),
    wallet_id            TEXT NOT NULL,
    account_address      TEXT,
    encrypted_key_shares BLOB NOT NULL CHECK (length(encrypted_key_shares) <= 70656),
    encryption_key_id    TEXT NOT NULL,
    encryption_algorithm TEXT NOT NULL DEFAULT 'AES-256-GCM',
    created_at           INTEGER NOT NULL,
    last_accessed_at     INTEGER,
    access_count         INTEGER NOT NULL DEFAULT 0,
    environment          TEXT NOT NULL,
    algorithm            TEXT NOT NULL,
    public_key           BLOB NOT NULL,
    record_version       INTEGER NOT NULL,
    state                TEXT NOT NULL,
    kek_provider         TEXT NOT NULL,
    kek_mount            TEXT NOT NULL,
    kek_name             TEXT NOT NULL,
    revision             INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX server_wallet_key_shares_wallet_id
    ON server_wallet_key_shares (wallet_id);
CREATE INDEX server_wallet_key_shares_account_address
    ON server_wallet_key_shares (account_address);

-- The migrations that this database has: see src/store/schema.rs.
CREATE TABLE countersign_schema (
    version    INTEGER PRIMARY KEY,
    min_reader INTEGER NOT NULL,
    sha256     BLOB NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;
