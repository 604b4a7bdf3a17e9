-- 网格员: the areas for which a member of staff answers, and for which they answered before. An area may be drawn anew
-- or taken away meanwhile, so it is named by its code.
CREATE TABLE user_areas (
    id BLOB PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    kind TEXT NOT NULL,
    code TEXT NOT NULL,
    set_at INTEGER NOT NULL,
    set_by TEXT NOT NULL,
    ended_at INTEGER,
    ended_by TEXT
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX user_areas_once ON user_areas (user_id, kind, code) WHERE ended_at IS NULL;
CREATE INDEX user_areas_area ON user_areas (kind, code) WHERE ended_at IS NULL;
