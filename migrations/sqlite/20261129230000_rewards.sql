-- 红包奖励: what is owed to those who reported first; it is paid elsewhere.
CREATE TABLE reward_payouts (
    id BLOB PRIMARY KEY,
    number TEXT NOT NULL CONSTRAINT reward_payouts_number_once UNIQUE,
    actor TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rewards (
    id BLOB PRIMARY KEY,
    report_id BLOB NOT NULL CONSTRAINT rewards_report_once UNIQUE REFERENCES reports (id),
    case_id BLOB NOT NULL REFERENCES cases (id),
    person BLOB NOT NULL,
    payee TEXT NOT NULL,
    payee_name TEXT NOT NULL,
    amount_fen INTEGER NOT NULL,
    month TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    note TEXT NOT NULL,
    payout_id BLOB REFERENCES reward_payouts (id),
    payment TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX rewards_state ON rewards (state, created_at);
CREATE INDEX rewards_person ON rewards (person, month);
CREATE INDEX rewards_month ON rewards (month);
CREATE INDEX rewards_payout ON rewards (payout_id) WHERE payout_id IS NOT NULL;

-- Every step of a reward with who made it; nothing is changed or taken away here.
CREATE TABLE reward_steps (
    reward_id BLOB NOT NULL REFERENCES rewards (id),
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    step TEXT NOT NULL,
    state TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (reward_id, version)
) STRICT, WITHOUT ROWID;
