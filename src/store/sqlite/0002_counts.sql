-- How far each audit log is counted in access_count and last_accessed_at: the number of
-- its first record that is not.
CREATE TABLE countersign_audit_cursors (
    log        BLOB PRIMARY KEY CHECK (length(log) = 16),
    next       INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
