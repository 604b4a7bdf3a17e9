-- How the files of a source are read, by name. A version is never changed; a removed profile is offered no more, and
-- its versions stay for the record of the imports that name them.
CREATE TABLE import_profiles (
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    text TEXT NOT NULL,
    why TEXT NOT NULL,
    actor TEXT NOT NULL,
    saved_at BIGINT NOT NULL,
    removed_at BIGINT,
    CONSTRAINT import_profiles_pk PRIMARY KEY (name, version)
);

-- 0 = from before versions were kept.
ALTER TABLE imports ADD COLUMN profile_version BIGINT NOT NULL DEFAULT 0;
