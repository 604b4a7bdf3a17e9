-- What happened since a moment, for the map of the past: entries and photos.
CREATE INDEX history_at ON history (at, manhole_id, sequence);
CREATE INDEX photos_created ON photos (created_at);
