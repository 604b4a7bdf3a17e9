-- Against the clock: who found a case, whose turn it is until when, and what is counted of it.
ALTER TABLE cases ADD COLUMN source TEXT NOT NULL DEFAULT 'citizen_scan';
ALTER TABLE cases ADD COLUMN triage BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN offered_to TEXT NOT NULL DEFAULT '';
ALTER TABLE cases ADD COLUMN clock TEXT NOT NULL DEFAULT '{}';
ALTER TABLE cases ADD COLUMN due_at BIGINT;
ALTER TABLE cases ADD COLUMN remind_at BIGINT;
ALTER TABLE cases ADD COLUMN dispatches BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN refusals BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN reworks BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN reopenings BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN late_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN exempt BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE cases ADD COLUMN strike_number TEXT;
ALTER TABLE cases ADD COLUMN recurs UUID REFERENCES cases (id);
ALTER TABLE cases ADD COLUMN filed_at BIGINT;
ALTER TABLE cases ADD COLUMN dispatched_at BIGINT;
ALTER TABLE cases ADD COLUMN handled_at BIGINT;
UPDATE cases SET clock = '{"since":' || updated_at || '}' WHERE state NOT IN ('closed', 'rejected', 'joined');
CREATE UNIQUE INDEX cases_strike_once ON cases (strike_number) WHERE strike_number IS NOT NULL;
CREATE INDEX cases_due ON cases (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX cases_remind ON cases (remind_at) WHERE remind_at IS NOT NULL;
CREATE INDEX cases_party ON cases (party_id, number);
CREATE INDEX cases_open ON cases (number) WHERE state NOT IN ('closed', 'rejected', 'joined');
CREATE INDEX cases_pool ON cases (number) WHERE state = 'dispatched' AND party_id IS NULL;

ALTER TABLE reports ADD COLUMN source TEXT NOT NULL DEFAULT 'citizen_scan';
ALTER TABLE reports ADD COLUMN external_number TEXT;
CREATE INDEX reports_external ON reports (external_number) WHERE external_number IS NOT NULL;

-- A city's rules as they were at each time; a version is never edited.
CREATE TABLE rule_versions (
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    valid_from BIGINT NOT NULL,
    text TEXT NOT NULL,
    note TEXT NOT NULL,
    actor TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (kind, version)
);
