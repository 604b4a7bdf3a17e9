-- Runs of a census: what was read, by whom, how far it came. `settled` rows are accounted for by chunks that
-- are committed; a run that was killed goes on behind them or is rolled back.
CREATE TABLE imports (
    number INTEGER PRIMARY KEY,
    state TEXT NOT NULL,
    source TEXT NOT NULL,
    profile TEXT NOT NULL,
    file_name TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    actor TEXT NOT NULL,
    settled INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    unchanged INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    problems INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    first_change INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    touched_at INTEGER NOT NULL
) STRICT;
CREATE INDEX imports_running ON imports (fingerprint) WHERE state = 'running';

-- Covers that a full survey passed over: proposed for "not found", never removed by a file.
CREATE TABLE passed_over (
    import INTEGER NOT NULL REFERENCES imports (number),
    cover_id BLOB NOT NULL REFERENCES covers (id),
    decision TEXT,
    decided_by TEXT,
    decided_at INTEGER,
    PRIMARY KEY (import, cover_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX passed_over_cover ON passed_over (cover_id);
