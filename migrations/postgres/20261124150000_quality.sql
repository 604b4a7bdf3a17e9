-- Two covers of which somebody said that they are two, so that nobody proposes them again; the older one first.
CREATE TABLE told_apart (
    older_id UUID NOT NULL REFERENCES covers (id),
    newer_id UUID NOT NULL REFERENCES covers (id),
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (older_id, newer_id)
);
CREATE INDEX told_apart_newer ON told_apart (newer_id);

-- Notices by which covers without an owner are put up. While `cursor` is not NULL covers are still being
-- added, those after it next.
CREATE TABLE claim_notices (
    number TEXT COLLATE "C" PRIMARY KEY,
    district TEXT,
    class TEXT,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    cursor UUID
);
CREATE INDEX claim_notices_filling ON claim_notices (number) WHERE cursor IS NOT NULL;

-- One cover of a notice. `fields` is what its outcome changed, each as [before, after].
CREATE TABLE claims (
    notice TEXT COLLATE "C" NOT NULL REFERENCES claim_notices (number),
    cover_id UUID NOT NULL REFERENCES covers (id),
    state TEXT NOT NULL,
    claimants BIGINT NOT NULL,
    outcome_id UUID REFERENCES parties (id),
    fields TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (notice, cover_id)
);
CREATE INDEX claims_cover ON claims (cover_id);
CREATE UNIQUE INDEX claims_one_pending ON claims (cover_id) WHERE state IN ('open', 'unclaimed');
CREATE INDEX claims_due ON claims (due_at) WHERE state = 'open' AND claimants = 0;

CREATE TABLE claim_answers (
    notice TEXT COLLATE "C" NOT NULL,
    cover_id UUID NOT NULL,
    party_id UUID NOT NULL REFERENCES parties (id),
    answer TEXT NOT NULL,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (notice, cover_id, party_id),
    FOREIGN KEY (notice, cover_id) REFERENCES claims (notice, cover_id)
);
