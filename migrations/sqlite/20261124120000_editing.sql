-- A cover that is no longer in use: since when, why, and which one took its place. All three or none
-- but the last.
ALTER TABLE covers ADD COLUMN retired_at INTEGER;
ALTER TABLE covers ADD COLUMN retired_reason TEXT;
ALTER TABLE covers ADD COLUMN successor_id BLOB REFERENCES covers (id);
CREATE INDEX covers_successor ON covers (successor_id) WHERE successor_id IS NOT NULL;

-- A file that goes on in another one, and the file from which this one was split off.
ALTER TABLE manholes ADD COLUMN merged_into BLOB REFERENCES manholes (id);
ALTER TABLE manholes ADD COLUMN split_from BLOB REFERENCES manholes (id);
CREATE INDEX manholes_merged ON manholes (merged_into) WHERE merged_into IS NOT NULL;

-- What belongs to a cover goes with it when it changes its manhole; so far each manhole had one.
ALTER TABLE photos ADD COLUMN cover_id BLOB REFERENCES covers (id);
UPDATE photos SET cover_id = COALESCE(
    (SELECT k.cover_id FROM cases k WHERE k.id = photos.case_id),
    (SELECT c.id FROM covers c WHERE c.manhole_id = photos.manhole_id ORDER BY c.id LIMIT 1));

-- A case is listed where its manhole lies; a census that corrected a district left it behind.
UPDATE cases SET district = (SELECT h.district FROM manholes h WHERE h.id = cases.manhole_id);

CREATE INDEX code_aliases_cover ON code_aliases (cover_id);

-- Merges of manholes, with all that must be known to undo them.
CREATE TABLE merges (
    id BLOB PRIMARY KEY,
    survivor_id BLOB NOT NULL REFERENCES manholes (id),
    absorbed_id BLOB NOT NULL REFERENCES manholes (id),
    -- The cover that was the same as one of the survivor's, and that one.
    same_cover_id BLOB REFERENCES covers (id),
    kept_cover_id BLOB REFERENCES covers (id),
    moved TEXT NOT NULL,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    at INTEGER NOT NULL,
    undone_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX merges_survivor ON merges (survivor_id);
CREATE INDEX merges_absorbed ON merges (absorbed_id);

-- One change of many covers: looked at, carried out, undone.
CREATE TABLE bulk_edits (
    id BLOB PRIMARY KEY,
    state TEXT NOT NULL,
    filter TEXT NOT NULL,
    edit TEXT NOT NULL,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    matched INTEGER NOT NULL,
    unchanged INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    applied_at INTEGER,
    undone_at INTEGER,
    undone_by TEXT,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Covers that it would change or cannot change. `version` is that of the cover when the row was last
-- touched; whoever changed the cover since is not overruled.
CREATE TABLE bulk_edit_rows (
    edit_id BLOB NOT NULL REFERENCES bulk_edits (id),
    cover_id BLOB NOT NULL REFERENCES covers (id),
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    fields TEXT NOT NULL,
    refusal TEXT NOT NULL,
    PRIMARY KEY (edit_id, cover_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX bulk_edit_rows_state ON bulk_edit_rows (edit_id, state, cover_id);
