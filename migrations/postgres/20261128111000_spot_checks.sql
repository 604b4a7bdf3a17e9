-- Plates that were drawn at random to be looked at; what was found there is in crew_actions.
CREATE TABLE spot_checks (
    id UUID PRIMARY KEY,
    seed TEXT NOT NULL,
    from_at BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    crew TEXT,
    district TEXT,
    population BIGINT NOT NULL,
    plate_count BIGINT NOT NULL,
    actor TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE spot_check_plates (
    check_id UUID NOT NULL REFERENCES spot_checks (id),
    ordinal BIGINT NOT NULL,
    token BIGINT NOT NULL REFERENCES plates (token),
    cover_id UUID NOT NULL REFERENCES covers (id),
    fitted_by TEXT NOT NULL,
    fitted_at BIGINT NOT NULL,
    PRIMARY KEY (check_id, ordinal)
);
CREATE INDEX spot_check_plates_cover ON spot_check_plates (cover_id);
