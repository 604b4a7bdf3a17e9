CREATE TABLE cases (
    id UUID PRIMARY KEY,
    number TEXT NOT NULL CONSTRAINT cases_number_once UNIQUE,
    manhole_id UUID NOT NULL REFERENCES manholes (id),
    cover_id UUID REFERENCES covers (id),
    district TEXT NOT NULL REFERENCES districts (code),
    hazard TEXT NOT NULL,
    state TEXT NOT NULL,
    emergency BOOLEAN NOT NULL,
    report_count BIGINT NOT NULL,
    party_id UUID REFERENCES parties (id),
    handed_in_by UUID REFERENCES users (id),
    joined_to UUID REFERENCES cases (id),
    until BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    closed_at BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX cases_state ON cases (state, number);
CREATE INDEX cases_manhole ON cases (manhole_id);
-- Reports on the same cover and hazard join the open case: there is one at most.
CREATE UNIQUE INDEX cases_one_open ON cases (cover_id, hazard)
    WHERE state NOT IN ('closed', 'rejected', 'joined') AND cover_id IS NOT NULL;

CREATE TABLE reports (
    id UUID PRIMARY KEY,
    tracking TEXT NOT NULL CONSTRAINT reports_tracking_once UNIQUE,
    case_id UUID NOT NULL REFERENCES cases (id),
    hazard TEXT NOT NULL,
    description TEXT NOT NULL,
    contact TEXT,
    phone_lon DOUBLE PRECISION,
    phone_lat DOUBLE PRECISION,
    phone_accuracy_m DOUBLE PRECISION,
    language TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX reports_case ON reports (case_id);

CREATE TABLE photos (
    id UUID PRIMARY KEY,
    digest BYTEA NOT NULL,
    manhole_id UUID NOT NULL REFERENCES manholes (id),
    case_id UUID REFERENCES cases (id),
    report_id UUID REFERENCES reports (id),
    role TEXT NOT NULL,
    media_type TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    width BIGINT NOT NULL,
    height BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX photos_manhole ON photos (manhole_id);
CREATE INDEX photos_case ON photos (case_id) WHERE case_id IS NOT NULL;
CREATE INDEX photos_digest ON photos (digest);

-- What happened, for those who must hear of it; how far each of them has heard.
CREATE TABLE outbox (
    sequence BIGINT PRIMARY KEY,
    event TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE outbox_receivers (
    name TEXT PRIMARY KEY,
    delivered BIGINT NOT NULL
);
