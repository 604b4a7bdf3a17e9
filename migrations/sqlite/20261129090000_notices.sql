-- 督办单: numbered notices by which supervisors ask parties to solve cases by a day. A draft has no number.
CREATE TABLE notices (
    id BLOB PRIMARY KEY,
    year INTEGER,
    issue INTEGER,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    issued_by TEXT,
    issued_at INTEGER,
    withdrawn_at INTEGER,
    withdrawn_why TEXT,
    reminded INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT notices_number_once UNIQUE (year, issue)
) STRICT, WITHOUT ROWID;

-- To whom a notice goes, and since when they have it.
CREATE TABLE notice_parties (
    notice_id BLOB NOT NULL REFERENCES notices (id),
    party_id BLOB NOT NULL REFERENCES parties (id),
    confirmed_at INTEGER,
    confirmed_by TEXT,
    PRIMARY KEY (notice_id, party_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX notice_parties_party ON notice_parties (party_id);

-- The cases of a notice; a case may stand on several. It is struck off when it is closed, which its own row says.
CREATE TABLE notice_items (
    notice_id BLOB NOT NULL REFERENCES notices (id),
    ordinal INTEGER NOT NULL,
    case_id BLOB NOT NULL REFERENCES cases (id),
    party_id BLOB NOT NULL REFERENCES parties (id),
    feedback TEXT,
    feedback_at INTEGER,
    feedback_by TEXT,
    PRIMARY KEY (notice_id, ordinal),
    CONSTRAINT notice_items_case_once UNIQUE (notice_id, case_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX notice_items_case ON notice_items (case_id);
