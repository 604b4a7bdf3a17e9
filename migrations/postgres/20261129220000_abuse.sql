-- From where reports came that nobody signed for: digests under a secret of this registry, cleared away after some time.
CREATE TABLE report_origins (
    report_id UUID PRIMARY KEY REFERENCES reports (id),
    device BYTEA,
    network BYTEA NOT NULL,
    by_staff BOOLEAN NOT NULL,
    doubts TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX report_origins_device ON report_origins (device) WHERE device IS NOT NULL;
CREATE INDEX report_origins_network ON report_origins (network);
CREATE INDEX report_origins_created ON report_origins (created_at);

-- Cases that the public does not see before somebody looked.
CREATE TABLE case_holds (
    case_id UUID PRIMARY KEY REFERENCES cases (id),
    doubts TEXT NOT NULL,
    held_at BIGINT NOT NULL,
    ended_at BIGINT,
    ended_by TEXT
);
CREATE INDEX case_holds_open ON case_holds (held_at) WHERE ended_at IS NULL;

-- What photos of reports look like, in quarters by which one that was sent on is found again.
CREATE TABLE photo_looks (
    photo_id UUID PRIMARY KEY REFERENCES photos (id),
    look BIGINT NOT NULL,
    quarter_0 BIGINT NOT NULL,
    quarter_1 BIGINT NOT NULL,
    quarter_2 BIGINT NOT NULL,
    quarter_3 BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX photo_looks_0 ON photo_looks (quarter_0);
CREATE INDEX photo_looks_1 ON photo_looks (quarter_1);
CREATE INDEX photo_looks_2 ON photo_looks (quarter_2);
CREATE INDEX photo_looks_3 ON photo_looks (quarter_3);
CREATE INDEX photo_looks_created ON photo_looks (created_at);

-- Senders whose reports wait for a look.
CREATE TABLE blocks (
    id UUID PRIMARY KEY,
    kind TEXT NOT NULL,
    origin BYTEA NOT NULL,
    reason TEXT NOT NULL,
    tracking TEXT NOT NULL,
    until BIGINT NOT NULL,
    actor TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    lifted_at BIGINT,
    lifted_by TEXT
);
