CREATE TABLE cases (
    id BLOB PRIMARY KEY,
    number TEXT NOT NULL CONSTRAINT cases_number_once UNIQUE,
    manhole_id BLOB NOT NULL REFERENCES manholes (id),
    cover_id BLOB REFERENCES covers (id),
    district TEXT NOT NULL REFERENCES districts (code),
    hazard TEXT NOT NULL,
    state TEXT NOT NULL,
    emergency INTEGER NOT NULL,
    report_count INTEGER NOT NULL,
    party_id BLOB REFERENCES parties (id),
    handed_in_by BLOB REFERENCES users (id),
    joined_to BLOB REFERENCES cases (id),
    until INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    closed_at INTEGER,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX cases_state ON cases (state, number);
CREATE INDEX cases_manhole ON cases (manhole_id);
-- Reports on the same cover and hazard join the open case: there is one at most.
CREATE UNIQUE INDEX cases_one_open ON cases (cover_id, hazard)
    WHERE state NOT IN ('closed', 'rejected', 'joined') AND cover_id IS NOT NULL;

CREATE TABLE reports (
    id BLOB PRIMARY KEY,
    tracking TEXT NOT NULL CONSTRAINT reports_tracking_once UNIQUE,
    case_id BLOB NOT NULL REFERENCES cases (id),
    hazard TEXT NOT NULL,
    description TEXT NOT NULL,
    contact TEXT,
    phone_lon REAL,
    phone_lat REAL,
    phone_accuracy_m REAL,
    language TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX reports_case ON reports (case_id);

CREATE TABLE photos (
    id BLOB PRIMARY KEY,
    digest BLOB NOT NULL,
    manhole_id BLOB NOT NULL REFERENCES manholes (id),
    case_id BLOB REFERENCES cases (id),
    report_id BLOB REFERENCES reports (id),
    role TEXT NOT NULL,
    media_type TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX photos_manhole ON photos (manhole_id);
CREATE INDEX photos_case ON photos (case_id) WHERE case_id IS NOT NULL;
CREATE INDEX photos_digest ON photos (digest);

-- What happened, for those who must hear of it; how far each of them has heard.
CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY,
    event TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE outbox_receivers (
    name TEXT PRIMARY KEY,
    delivered INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
