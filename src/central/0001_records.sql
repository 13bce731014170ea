-- The lines of audit logs, as they stand in their files without the line feed: those of one
-- log in the order of seq are that log again. A line is a link of 64 digits, a space and a
-- JSON object that begins {"seq":0,"time":"…","boot":"…","event":"…". The other columns are
-- made of the line, so that they say nothing else.
--
-- Over and over the same expression, because a generated column can refer to no other, and a
-- function would be one more thing to grant. jsonb has no U+0000, which a text of a record may
-- have: there it is U+FFFD. A cast to timestamptz is not immutable, what is made of numbers is.
CREATE TABLE countersign_audit_records (
    log     UUID NOT NULL,
    seq     BIGINT NOT NULL CHECK (seq >= 0),
    line    TEXT NOT NULL,
    time    TIMESTAMPTZ GENERATED ALWAYS AS (make_timestamp(
        substr(split_part(line, '"', 6), 1, 4)::int,
        substr(split_part(line, '"', 6), 6, 2)::int,
        substr(split_part(line, '"', 6), 9, 2)::int,
        substr(split_part(line, '"', 6), 12, 2)::int,
        substr(split_part(line, '"', 6), 15, 2)::int,
        substr(split_part(line, '"', 6), 18, 12)::float8
    ) AT TIME ZONE 'UTC') STORED,
    event   TEXT GENERATED ALWAYS AS (split_part(line, '"', 14)) STORED,
    -- The seq of the request that the record is of, or whose outcome it has.
    request BIGINT GENERATED ALWAYS AS (CASE split_part(line, '"', 14)
        WHEN 'request' THEN seq
        WHEN 'outcome' THEN (replace(substr(line, 66), '\u0000', '\ufffd')::jsonb ->> 'of')::bigint
    END) STORED,
    caller  TEXT GENERATED ALWAYS AS (
        replace(substr(line, 66), '\u0000', '\ufffd')::jsonb ->> 'caller'
    ) STORED,
    action  TEXT GENERATED ALWAYS AS (
        replace(substr(line, 66), '\u0000', '\ufffd')::jsonb ->> 'action'
    ) STORED,
    share   TEXT GENERATED ALWAYS AS (
        replace(substr(line, 66), '\u0000', '\ufffd')::jsonb ->> 'share'
    ) STORED,
    wallet  TEXT GENERATED ALWAYS AS (
        replace(substr(line, 66), '\u0000', '\ufffd')::jsonb ->> 'wallet'
    ) STORED,
    -- In the record of the request where it was known by then, else in one of its own.
    outcome TEXT GENERATED ALWAYS AS (coalesce(
        replace(substr(line, 66), '\u0000', '\ufffd')::jsonb ->> 'outcome',
        replace(substr(line, 66), '\u0000', '\ufffd')::jsonb #>> '{ended,outcome}'
    )) STORED,
    PRIMARY KEY (log, seq)
);

CREATE INDEX countersign_audit_records_time ON countersign_audit_records (time);
CREATE INDEX countersign_audit_records_share ON countersign_audit_records (share, time)
    WHERE share IS NOT NULL;
CREATE INDEX countersign_audit_records_outcome ON countersign_audit_records (log, request)
    WHERE event = 'outcome';

-- The migrations that this database has: see src/store/schema.rs.
CREATE TABLE countersign_audit_schema (
    version    BIGINT PRIMARY KEY,
    min_reader BIGINT NOT NULL,
    sha256     BYTEA NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
