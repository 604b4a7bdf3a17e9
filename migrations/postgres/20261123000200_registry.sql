CREATE TABLE districts (
    code TEXT PRIMARY KEY,
    name_zh TEXT NOT NULL,
    name_en TEXT NOT NULL
);

CREATE TABLE manholes (
    id UUID PRIMARY KEY,
    district TEXT NOT NULL REFERENCES districts (code),
    road TEXT,
    address TEXT,
    placement TEXT,
    lon DOUBLE PRECISION NOT NULL,
    lat DOUBLE PRECISION NOT NULL,
    quadkey BIGINT NOT NULL,
    raw_x DOUBLE PRECISION NOT NULL,
    raw_y DOUBLE PRECISION NOT NULL,
    raw_epsg BIGINT NOT NULL,
    position_method TEXT NOT NULL,
    accuracy_m DOUBLE PRECISION,
    surveyed_at BIGINT,
    device TEXT,
    history_length BIGINT NOT NULL,
    history_hash BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX manholes_quadkey ON manholes (quadkey);

CREATE TABLE covers (
    id UUID PRIMARY KEY,
    manhole_id UUID NOT NULL REFERENCES manholes (id),
    scheme TEXT NOT NULL,
    code TEXT NOT NULL,
    class TEXT NOT NULL,
    state TEXT NOT NULL,
    material TEXT,
    shape TEXT,
    load_class TEXT,
    owner_id UUID REFERENCES parties (id),
    maintainer_id UUID REFERENCES parties (id),
    supervisor_id UUID REFERENCES parties (id),
    source TEXT NOT NULL,
    source_key TEXT,
    extra TEXT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT covers_code_once UNIQUE (code, scheme)
);
CREATE INDEX covers_manhole ON covers (manhole_id);
CREATE UNIQUE INDEX covers_source_key_once ON covers (source, source_key) WHERE source_key IS NOT NULL;

CREATE TABLE code_aliases (
    code TEXT NOT NULL,
    scheme TEXT NOT NULL,
    cover_id UUID NOT NULL REFERENCES covers (id),
    PRIMARY KEY (code, scheme)
);

CREATE TABLE code_sequences (
    scheme TEXT NOT NULL,
    district TEXT NOT NULL,
    class TEXT NOT NULL,
    last BIGINT NOT NULL,
    PRIMARY KEY (scheme, district, class)
);

CREATE TABLE history (
    manhole_id UUID NOT NULL REFERENCES manholes (id),
    sequence BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    case_id UUID,
    body TEXT NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (manhole_id, sequence)
);
CREATE INDEX history_case ON history (case_id) WHERE case_id IS NOT NULL;

CREATE TABLE changes (
    sequence BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    id UUID NOT NULL
);
