-- Outlines of districts, management areas and grid cells; `shape` is the coordinates of a GeoJSON MultiPolygon.
CREATE TABLE areas (
    kind TEXT COLLATE "C" NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    name_zh TEXT NOT NULL,
    name_en TEXT NOT NULL,
    shape TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT areas_pkey PRIMARY KEY (kind, code)
);
