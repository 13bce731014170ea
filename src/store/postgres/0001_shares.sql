-- What the row says of itself beside the envelope; the envelope is the truth.
-- fillfactor leaves room for counting accesses in place: neither counter is
-- indexed, and none may be.
CREATE TABLE server_wallet_key_shares (
    id                   UUID PRIMARY KEY,
    wallet_id            TEXT NOT NULL,
    account_address      TEXT,
    encrypted_key_shares BYTEA NOT NULL CHECK (octet_length(encrypted_key_shares) <= 70656),
    encryption_key_id    TEXT NOT NULL,
    encryption_algorithm TEXT NOT NULL DEFAULT 'AES-256-GCM',
    created_at           TIMESTAMPTZ NOT NULL,
    last_accessed_at     TIMESTAMPTZ,
    access_count         BIGINT NOT NULL DEFAULT 0,
    environment          TEXT NOT NULL,
    algorithm            TEXT NOT NULL,
    public_key           BYTEA NOT NULL,
    record_version       BIGINT NOT NULL,
    state                TEXT NOT NULL,
    kek_provider         TEXT NOT NULL,
    kek_mount            TEXT NOT NULL,
    kek_name             TEXT NOT NULL,
    revision             BIGINT NOT NULL
) WITH (fillfactor = 80);

-- Ciphertext does not compress, and out of line it is out of the way.
ALTER TABLE server_wallet_key_shares
    ALTER encrypted_key_shares SET STORAGE EXTERNAL;

CREATE INDEX server_wallet_key_shares_wallet_id
    ON server_wallet_key_shares (wallet_id);
CREATE INDEX server_wallet_key_shares_account_address
    ON server_wallet_key_shares (account_address);

-- The migrations that this database has: see src/store/schema.rs.
CREATE TABLE countersign_schema (
    version    BIGINT PRIMARY KEY,
    min_reader BIGINT NOT NULL,
    sha256     BYTEA NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
