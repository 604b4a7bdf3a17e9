-- Plates that were drawn at random to be looked at; what was found there is in crew_actions.
CREATE TABLE spot_checks (
    id BLOB PRIMARY KEY,
    seed TEXT NOT NULL,
    from_at INTEGER NOT NULL,
    until_at INTEGER NOT NULL,
    crew TEXT,
    district TEXT,
    population INTEGER NOT NULL,
    plate_count INTEGER NOT NULL,
    actor TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE spot_check_plates (
    check_id BLOB NOT NULL REFERENCES spot_checks (id),
    ordinal INTEGER NOT NULL,
    token INTEGER NOT NULL REFERENCES plates (token),
    cover_id BLOB NOT NULL REFERENCES covers (id),
    fitted_by TEXT NOT NULL,
    fitted_at INTEGER NOT NULL,
    PRIMARY KEY (check_id, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX spot_check_plates_cover ON spot_check_plates (cover_id);
