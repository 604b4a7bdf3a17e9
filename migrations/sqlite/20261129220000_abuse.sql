-- From where reports came that nobody signed for: digests under a secret of this registry, cleared away after some time.
CREATE TABLE report_origins (
    report_id BLOB PRIMARY KEY REFERENCES reports (id),
    device BLOB,
    network BLOB NOT NULL,
    by_staff INTEGER NOT NULL,
    doubts TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX report_origins_device ON report_origins (device) WHERE device IS NOT NULL;
CREATE INDEX report_origins_network ON report_origins (network);
CREATE INDEX report_origins_created ON report_origins (created_at);

-- Cases that the public does not see before somebody looked.
CREATE TABLE case_holds (
    case_id BLOB PRIMARY KEY REFERENCES cases (id),
    doubts TEXT NOT NULL,
    held_at INTEGER NOT NULL,
    ended_at INTEGER,
    ended_by TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX case_holds_open ON case_holds (held_at) WHERE ended_at IS NULL;

-- What photos of reports look like, in quarters by which one that was sent on is found again.
CREATE TABLE photo_looks (
    photo_id BLOB PRIMARY KEY REFERENCES photos (id),
    look INTEGER NOT NULL,
    quarter_0 INTEGER NOT NULL,
    quarter_1 INTEGER NOT NULL,
    quarter_2 INTEGER NOT NULL,
    quarter_3 INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX photo_looks_0 ON photo_looks (quarter_0);
CREATE INDEX photo_looks_1 ON photo_looks (quarter_1);
CREATE INDEX photo_looks_2 ON photo_looks (quarter_2);
CREATE INDEX photo_looks_3 ON photo_looks (quarter_3);
CREATE INDEX photo_looks_created ON photo_looks (created_at);

-- Senders whose reports wait for a look.
CREATE TABLE blocks (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    origin BLOB NOT NULL,
    reason TEXT NOT NULL,
    tracking TEXT NOT NULL,
    until INTEGER NOT NULL,
    actor TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    lifted_at INTEGER,
    lifted_by TEXT
) STRICT, WITHOUT ROWID;
