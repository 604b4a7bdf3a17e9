-- What crews did on the spot, one row an action; and photos that come in from the field piece by piece.
CREATE TABLE crew_actions (
    id BLOB PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    done_at INTEGER NOT NULL,
    cover_id BLOB REFERENCES covers (id),
    token INTEGER REFERENCES plates (token),
    case_id BLOB REFERENCES cases (id),
    result TEXT,
    note TEXT,
    lon REAL,
    lat REAL,
    accuracy_m REAL,
    distance_m REAL,
    answers BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX crew_actions_at ON crew_actions (at);
CREATE INDEX crew_actions_cover ON crew_actions (cover_id) WHERE cover_id IS NOT NULL;

CREATE TABLE field_photos (
    id BLOB PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    total INTEGER NOT NULL,
    digest BLOB,
    media_type TEXT,
    width INTEGER,
    height INTEGER,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX field_photos_created ON field_photos (created_at);
