-- How the files of a source are read, by name. A version is never changed; a removed profile is offered no more, and
-- its versions stay for the record of the imports that name them.
CREATE TABLE import_profiles (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    text TEXT NOT NULL,
    why TEXT NOT NULL,
    actor TEXT NOT NULL,
    saved_at INTEGER NOT NULL,
    removed_at INTEGER,
    CONSTRAINT import_profiles_pk PRIMARY KEY (name, version)
) STRICT;

-- 0 = from before versions were kept.
ALTER TABLE imports ADD COLUMN profile_version INTEGER NOT NULL DEFAULT 0;
