-- How far each audit log is counted in access_count and last_accessed_at: the number of
-- its first record that is not.
CREATE TABLE countersign_audit_cursors (
    log        UUID PRIMARY KEY,
    next       BIGINT NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
