-- What parties ask of the desk about a case: more time, a pause, not to be counted as late, or a question.
CREATE TABLE case_asks (
    id BLOB PRIMARY KEY,
    case_id BLOB NOT NULL REFERENCES cases (id),
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    party_id BLOB NOT NULL REFERENCES parties (id),
    reason TEXT NOT NULL,
    until INTEGER,
    asked_by BLOB NOT NULL REFERENCES users (id),
    asked_at INTEGER NOT NULL,
    endorsed_by BLOB REFERENCES users (id),
    endorsed_at INTEGER,
    decided_by BLOB REFERENCES users (id),
    decided_at INTEGER,
    answer TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX case_asks_case ON case_asks (case_id);
CREATE UNIQUE INDEX case_asks_one_open ON case_asks (case_id, kind) WHERE state IN ('open', 'endorsed');
