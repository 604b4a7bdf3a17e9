CREATE TABLE plate_batches (
    id UUID PRIMARY KEY,
    face TEXT NOT NULL,
    sheet TEXT NOT NULL,
    host TEXT NOT NULL,
    note TEXT NOT NULL,
    actor TEXT NOT NULL,
    plate_count BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE plates (
    token BIGINT PRIMARY KEY,
    batch_id UUID NOT NULL REFERENCES plate_batches (id),
    ordinal BIGINT NOT NULL,
    state TEXT NOT NULL,
    payload TEXT NOT NULL,
    qr_version BIGINT NOT NULL,
    qr_level TEXT NOT NULL,
    qr_mask BIGINT NOT NULL,
    cover_id UUID REFERENCES covers (id),
    manhole_id UUID REFERENCES manholes (id),
    printed_code TEXT,
    page BIGINT NOT NULL,
    place_on_page BIGINT NOT NULL,
    successor BIGINT REFERENCES plates (token),
    state_at BIGINT NOT NULL,
    CONSTRAINT plates_ordinal_once UNIQUE (batch_id, ordinal)
);
CREATE INDEX plates_cover ON plates (cover_id) WHERE cover_id IS NOT NULL;
