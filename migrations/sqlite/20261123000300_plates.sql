CREATE TABLE plate_batches (
    id BLOB PRIMARY KEY,
    face TEXT NOT NULL,
    sheet TEXT NOT NULL,
    host TEXT NOT NULL,
    note TEXT NOT NULL,
    actor TEXT NOT NULL,
    plate_count INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE plates (
    token INTEGER PRIMARY KEY,
    batch_id BLOB NOT NULL REFERENCES plate_batches (id),
    ordinal INTEGER NOT NULL,
    state TEXT NOT NULL,
    payload TEXT NOT NULL,
    qr_version INTEGER NOT NULL,
    qr_level TEXT NOT NULL,
    qr_mask INTEGER NOT NULL,
    cover_id BLOB REFERENCES covers (id),
    manhole_id BLOB REFERENCES manholes (id),
    printed_code TEXT,
    page INTEGER NOT NULL,
    place_on_page INTEGER NOT NULL,
    successor INTEGER REFERENCES plates (token),
    state_at INTEGER NOT NULL,
    CONSTRAINT plates_ordinal_once UNIQUE (batch_id, ordinal)
) STRICT;
CREATE INDEX plates_cover ON plates (cover_id) WHERE cover_id IS NOT NULL;
