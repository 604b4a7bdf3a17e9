-- Who hears of events by webhook. How far each has heard stands in outbox_receivers under its id.
CREATE TABLE receivers (
    id UUID PRIMARY KEY,
    name TEXT NOT NULL CONSTRAINT receivers_name_once UNIQUE,
    kind TEXT NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    districts TEXT NOT NULL,
    personal BOOLEAN NOT NULL,
    state TEXT NOT NULL,
    rules TEXT NOT NULL,
    secret TEXT NOT NULL,
    old_secret TEXT,
    old_secret_until BIGINT,
    absences BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    trouble TEXT,
    trouble_at BIGINT,
    actor TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

-- Events that could not be delivered in their turn, and those of the same key behind them.
CREATE TABLE deliveries (
    receiver_id UUID NOT NULL REFERENCES receivers (id),
    sequence BIGINT NOT NULL,
    order_key TEXT NOT NULL,
    event TEXT NOT NULL,
    state TEXT NOT NULL,
    tries BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    last_status BIGINT,
    trouble TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (receiver_id, sequence)
);
CREATE INDEX deliveries_due ON deliveries (receiver_id, state, next_at);
CREATE INDEX deliveries_key ON deliveries (receiver_id, order_key, sequence);
CREATE INDEX deliveries_sequence ON deliveries (sequence);

-- Cases as a platform knows them.
CREATE TABLE upstream_cases (
    receiver_id UUID NOT NULL REFERENCES receivers (id),
    case_id UUID NOT NULL REFERENCES cases (id),
    upstream_id TEXT NOT NULL,
    told TEXT NOT NULL,
    heard TEXT,
    synced_at BIGINT NOT NULL,
    PRIMARY KEY (receiver_id, case_id),
    CONSTRAINT upstream_cases_id_once UNIQUE (receiver_id, upstream_id)
);
CREATE INDEX upstream_cases_case ON upstream_cases (case_id);
