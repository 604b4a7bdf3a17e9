-- Every step of a plate's life after it was made, with what stands for it; who has it, and where on the cover it hangs.
ALTER TABLE plates ADD COLUMN holder UUID REFERENCES users (id);
ALTER TABLE plates ADD COLUMN spot TEXT NOT NULL DEFAULT 'public';
CREATE INDEX plates_holder ON plates (holder) WHERE holder IS NOT NULL;

CREATE TABLE plate_events (
    token BIGINT NOT NULL REFERENCES plates (token),
    step BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    holder UUID REFERENCES users (id),
    cover_id UUID REFERENCES covers (id),
    lon DOUBLE PRECISION,
    lat DOUBLE PRECISION,
    accuracy_m DOUBLE PRECISION,
    distance_m DOUBLE PRECISION,
    PRIMARY KEY (token, step)
);
CREATE INDEX plate_events_at ON plate_events (at);
