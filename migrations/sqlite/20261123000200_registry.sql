CREATE TABLE districts (
    code TEXT PRIMARY KEY,
    name_zh TEXT NOT NULL,
    name_en TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE manholes (
    id BLOB PRIMARY KEY,
    district TEXT NOT NULL REFERENCES districts (code),
    road TEXT,
    address TEXT,
    placement TEXT,
    lon REAL NOT NULL,
    lat REAL NOT NULL,
    quadkey INTEGER NOT NULL,
    raw_x REAL NOT NULL,
    raw_y REAL NOT NULL,
    raw_epsg INTEGER NOT NULL,
    position_method TEXT NOT NULL,
    accuracy_m REAL,
    surveyed_at INTEGER,
    device TEXT,
    history_length INTEGER NOT NULL,
    history_hash BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX manholes_quadkey ON manholes (quadkey);

CREATE TABLE covers (
    id BLOB PRIMARY KEY,
    manhole_id BLOB NOT NULL REFERENCES manholes (id),
    scheme TEXT NOT NULL,
    code TEXT NOT NULL,
    class TEXT NOT NULL,
    state TEXT NOT NULL,
    material TEXT,
    shape TEXT,
    load_class TEXT,
    owner_id BLOB REFERENCES parties (id),
    maintainer_id BLOB REFERENCES parties (id),
    supervisor_id BLOB REFERENCES parties (id),
    source TEXT NOT NULL,
    source_key TEXT,
    extra TEXT NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT covers_code_once UNIQUE (code, scheme)
) STRICT, WITHOUT ROWID;
CREATE INDEX covers_manhole ON covers (manhole_id);
CREATE UNIQUE INDEX covers_source_key_once ON covers (source, source_key) WHERE source_key IS NOT NULL;

CREATE TABLE code_aliases (
    code TEXT NOT NULL,
    scheme TEXT NOT NULL,
    cover_id BLOB NOT NULL REFERENCES covers (id),
    PRIMARY KEY (code, scheme)
) STRICT, WITHOUT ROWID;

CREATE TABLE code_sequences (
    scheme TEXT NOT NULL,
    district TEXT NOT NULL,
    class TEXT NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (scheme, district, class)
) STRICT, WITHOUT ROWID;

CREATE TABLE history (
    manhole_id BLOB NOT NULL REFERENCES manholes (id),
    sequence INTEGER NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    case_id BLOB,
    body TEXT NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (manhole_id, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX history_case ON history (case_id) WHERE case_id IS NOT NULL;

CREATE TABLE changes (
    sequence INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    id BLOB NOT NULL
) STRICT;
