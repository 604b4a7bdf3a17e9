-- Every step of a plate's life after it was made, with what stands for it; who has it, and where on the cover it hangs.
ALTER TABLE plates ADD COLUMN holder BLOB REFERENCES users (id);
ALTER TABLE plates ADD COLUMN spot TEXT NOT NULL DEFAULT 'public';
CREATE INDEX plates_holder ON plates (holder) WHERE holder IS NOT NULL;

CREATE TABLE plate_events (
    token INTEGER NOT NULL REFERENCES plates (token),
    step INTEGER NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    holder BLOB REFERENCES users (id),
    cover_id BLOB REFERENCES covers (id),
    lon REAL,
    lat REAL,
    accuracy_m REAL,
    distance_m REAL,
    PRIMARY KEY (token, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX plate_events_at ON plate_events (at);
