-- When a disabled share may be removed, in microseconds since 1970; null where that was not
-- asked for.
ALTER TABLE server_wallet_key_shares ADD COLUMN destroy_after INTEGER;

-- How the public key is known: derived from the share, or declared when it came in.
ALTER TABLE server_wallet_key_shares ADD COLUMN binding TEXT NOT NULL DEFAULT 'derived';
