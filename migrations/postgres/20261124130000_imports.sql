-- Runs of a census: what was read, by whom, how far it came. `settled` rows are accounted for by chunks that
-- are committed; a run that was killed goes on behind them or is rolled back.
CREATE TABLE imports (
    number BIGINT PRIMARY KEY,
    state TEXT NOT NULL,
    source TEXT NOT NULL,
    profile TEXT NOT NULL,
    file_name TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    actor TEXT NOT NULL,
    settled BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    unchanged BIGINT NOT NULL,
    duplicates BIGINT NOT NULL,
    problems BIGINT NOT NULL,
    kept BIGINT NOT NULL,
    first_change BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    touched_at BIGINT NOT NULL
);
CREATE INDEX imports_running ON imports (fingerprint) WHERE state = 'running';

-- Covers that a full survey passed over: proposed for "not found", never removed by a file.
CREATE TABLE passed_over (
    import BIGINT NOT NULL REFERENCES imports (number),
    cover_id UUID NOT NULL REFERENCES covers (id),
    decision TEXT,
    decided_by TEXT,
    decided_at BIGINT,
    PRIMARY KEY (import, cover_id)
);
CREATE INDEX passed_over_cover ON passed_over (cover_id);
