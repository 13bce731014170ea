-- When a disabled share may be removed; null where that was not asked for.
ALTER TABLE server_wallet_key_shares ADD COLUMN destroy_after TIMESTAMPTZ;
