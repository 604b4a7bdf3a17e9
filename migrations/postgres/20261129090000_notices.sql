-- 督办单: numbered notices by which supervisors ask parties to solve cases by a day. A draft has no number.
CREATE TABLE notices (
    id UUID PRIMARY KEY,
    year BIGINT,
    issue BIGINT,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    issued_by TEXT,
    issued_at BIGINT,
    withdrawn_at BIGINT,
    withdrawn_why TEXT,
    reminded BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT notices_number_once UNIQUE (year, issue)
);

-- To whom a notice goes, and since when they have it.
CREATE TABLE notice_parties (
    notice_id UUID NOT NULL REFERENCES notices (id),
    party_id UUID NOT NULL REFERENCES parties (id),
    confirmed_at BIGINT,
    confirmed_by TEXT,
    PRIMARY KEY (notice_id, party_id)
);
CREATE INDEX notice_parties_party ON notice_parties (party_id);

-- The cases of a notice; a case may stand on several. It is struck off when it is closed, which its own row says.
CREATE TABLE notice_items (
    notice_id UUID NOT NULL REFERENCES notices (id),
    ordinal BIGINT NOT NULL,
    case_id UUID NOT NULL REFERENCES cases (id),
    party_id UUID NOT NULL REFERENCES parties (id),
    feedback TEXT,
    feedback_at BIGINT,
    feedback_by TEXT,
    PRIMARY KEY (notice_id, ordinal),
    CONSTRAINT notice_items_case_once UNIQUE (notice_id, case_id)
);
CREATE INDEX notice_items_case ON notice_items (case_id);
