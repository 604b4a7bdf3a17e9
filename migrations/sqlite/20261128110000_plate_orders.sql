ALTER TABLE plate_batches ADD COLUMN state TEXT NOT NULL DEFAULT 'released';
ALTER TABLE plate_batches ADD COLUMN made_as TEXT NOT NULL DEFAULT 'printed';
ALTER TABLE plate_batches ADD COLUMN ordered TEXT NOT NULL DEFAULT '{}';
ALTER TABLE plate_batches ADD COLUMN level TEXT;
ALTER TABLE plate_batches ADD COLUMN printer TEXT;
ALTER TABLE plate_batches ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
ALTER TABLE plate_batches ADD COLUMN split INTEGER;
ALTER TABLE plate_batches ADD COLUMN target TEXT;
ALTER TABLE plate_batches ADD COLUMN lines_done INTEGER NOT NULL DEFAULT 0;

CREATE INDEX plates_batch_state ON plates (batch_id, state);

CREATE TABLE plate_lines (
    batch_id BLOB NOT NULL REFERENCES plate_batches (id),
    ordinal INTEGER NOT NULL,
    cover_id BLOB NOT NULL REFERENCES covers (id),
    code TEXT NOT NULL,
    words TEXT NOT NULL,
    PRIMARY KEY (batch_id, ordinal)
) STRICT, WITHOUT ROWID;
