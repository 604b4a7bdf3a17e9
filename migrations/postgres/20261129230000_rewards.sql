-- 红包奖励: what is owed to those who reported first; it is paid elsewhere.
CREATE TABLE reward_payouts (
    id UUID PRIMARY KEY,
    number TEXT NOT NULL CONSTRAINT reward_payouts_number_once UNIQUE,
    actor TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE rewards (
    id UUID PRIMARY KEY,
    report_id UUID NOT NULL CONSTRAINT rewards_report_once UNIQUE REFERENCES reports (id),
    case_id UUID NOT NULL REFERENCES cases (id),
    person BYTEA NOT NULL,
    payee TEXT NOT NULL,
    payee_name TEXT NOT NULL,
    amount_fen BIGINT NOT NULL,
    month TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    note TEXT NOT NULL,
    payout_id UUID REFERENCES reward_payouts (id),
    payment TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX rewards_state ON rewards (state, created_at);
CREATE INDEX rewards_person ON rewards (person, month);
CREATE INDEX rewards_month ON rewards (month);
CREATE INDEX rewards_payout ON rewards (payout_id) WHERE payout_id IS NOT NULL;

-- Every step of a reward with who made it; nothing is changed or taken away here.
CREATE TABLE reward_steps (
    reward_id UUID NOT NULL REFERENCES rewards (id),
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    step TEXT NOT NULL,
    state TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (reward_id, version)
);
