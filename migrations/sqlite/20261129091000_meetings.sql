-- 会商: joint meetings, what they decided and about what.
CREATE TABLE meetings (
    id BLOB PRIMARY KEY,
    number TEXT NOT NULL CONSTRAINT meetings_number_once UNIQUE,
    held_at INTEGER NOT NULL,
    place TEXT NOT NULL,
    attendees TEXT NOT NULL,
    decision TEXT NOT NULL,
    lead_id BLOB NOT NULL REFERENCES parties (id),
    due_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    revoked_by TEXT,
    revoked_why TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE meeting_subjects (
    meeting_id BLOB NOT NULL REFERENCES meetings (id),
    ordinal INTEGER NOT NULL,
    kind TEXT NOT NULL,
    case_id BLOB REFERENCES cases (id),
    cover_id BLOB REFERENCES covers (id),
    district TEXT REFERENCES districts (code),
    road TEXT,
    PRIMARY KEY (meeting_id, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX meeting_subjects_case ON meeting_subjects (case_id) WHERE case_id IS NOT NULL;
CREATE INDEX meeting_subjects_cover ON meeting_subjects (cover_id) WHERE cover_id IS NOT NULL;
CREATE INDEX meeting_subjects_road ON meeting_subjects (road, district) WHERE road IS NOT NULL;

-- 典型案例: what is held up as an example, by quarter.
CREATE TABLE exemplary_cases (
    case_id BLOB PRIMARY KEY REFERENCES cases (id),
    year INTEGER NOT NULL,
    quarter INTEGER NOT NULL,
    sentence TEXT NOT NULL,
    actor TEXT NOT NULL,
    marked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX exemplary_cases_quarter ON exemplary_cases (year, quarter);

-- Which covers and roads come again is asked over a span of days.
CREATE INDEX cases_created ON cases (created_at);
