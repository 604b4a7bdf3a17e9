-- 会商: joint meetings, what they decided and about what.
CREATE TABLE meetings (
    id UUID PRIMARY KEY,
    number TEXT NOT NULL CONSTRAINT meetings_number_once UNIQUE,
    held_at BIGINT NOT NULL,
    place TEXT NOT NULL,
    attendees TEXT NOT NULL,
    decision TEXT NOT NULL,
    lead_id UUID NOT NULL REFERENCES parties (id),
    due_at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT,
    revoked_by TEXT,
    revoked_why TEXT
);

CREATE TABLE meeting_subjects (
    meeting_id UUID NOT NULL REFERENCES meetings (id),
    ordinal BIGINT NOT NULL,
    kind TEXT NOT NULL,
    case_id UUID REFERENCES cases (id),
    cover_id UUID REFERENCES covers (id),
    district TEXT REFERENCES districts (code),
    road TEXT,
    PRIMARY KEY (meeting_id, ordinal)
);
CREATE INDEX meeting_subjects_case ON meeting_subjects (case_id) WHERE case_id IS NOT NULL;
CREATE INDEX meeting_subjects_cover ON meeting_subjects (cover_id) WHERE cover_id IS NOT NULL;
CREATE INDEX meeting_subjects_road ON meeting_subjects (road, district) WHERE road IS NOT NULL;

-- 典型案例: what is held up as an example, by quarter.
CREATE TABLE exemplary_cases (
    case_id UUID PRIMARY KEY REFERENCES cases (id),
    year BIGINT NOT NULL,
    quarter BIGINT NOT NULL,
    sentence TEXT NOT NULL,
    actor TEXT NOT NULL,
    marked_at BIGINT NOT NULL
);
CREATE INDEX exemplary_cases_quarter ON exemplary_cases (year, quarter);

-- Which covers and roads come again is asked over a span of days.
CREATE INDEX cases_created ON cases (created_at);
