-- Outlines of districts, management areas and grid cells; `shape` is the coordinates of a GeoJSON MultiPolygon.
CREATE TABLE areas (
    kind TEXT NOT NULL,
    code TEXT NOT NULL,
    name_zh TEXT NOT NULL,
    name_en TEXT NOT NULL,
    shape TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (kind, code)
) STRICT, WITHOUT ROWID;
