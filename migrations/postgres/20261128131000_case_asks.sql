-- What parties ask of the desk about a case: more time, a pause, not to be counted as late, or a question.
CREATE TABLE case_asks (
    id UUID PRIMARY KEY,
    case_id UUID NOT NULL REFERENCES cases (id),
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    party_id UUID NOT NULL REFERENCES parties (id),
    reason TEXT NOT NULL,
    until BIGINT,
    asked_by UUID NOT NULL REFERENCES users (id),
    asked_at BIGINT NOT NULL,
    endorsed_by UUID REFERENCES users (id),
    endorsed_at BIGINT,
    decided_by UUID REFERENCES users (id),
    decided_at BIGINT,
    answer TEXT
);
CREATE INDEX case_asks_case ON case_asks (case_id);
CREATE UNIQUE INDEX case_asks_one_open ON case_asks (case_id, kind) WHERE state IN ('open', 'endorsed');
