-- What crews did on the spot, one row an action; and photos that come in from the field piece by piece.
CREATE TABLE crew_actions (
    id UUID PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id),
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    done_at BIGINT NOT NULL,
    cover_id UUID REFERENCES covers (id),
    token BIGINT REFERENCES plates (token),
    case_id UUID REFERENCES cases (id),
    result TEXT,
    note TEXT,
    lon DOUBLE PRECISION,
    lat DOUBLE PRECISION,
    accuracy_m DOUBLE PRECISION,
    distance_m DOUBLE PRECISION,
    answers UUID
);
CREATE INDEX crew_actions_at ON crew_actions (at);
CREATE INDEX crew_actions_cover ON crew_actions (cover_id) WHERE cover_id IS NOT NULL;

CREATE TABLE field_photos (
    id UUID PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id),
    total BIGINT NOT NULL,
    digest BYTEA,
    media_type TEXT,
    width BIGINT,
    height BIGINT,
    created_at BIGINT NOT NULL
);
CREATE INDEX field_photos_created ON field_photos (created_at);
