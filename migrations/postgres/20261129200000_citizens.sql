-- Who wants to hear of a report or a cover, and how they are reached. An address that can be mistyped hears nothing but
-- the question whether it is meant, until somebody confirmed it.
CREATE TABLE followers (
    id UUID PRIMARY KEY,
    report_id UUID REFERENCES reports (id),
    cover_id UUID REFERENCES covers (id),
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    language TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    confirmed_at BIGINT
);
CREATE UNIQUE INDEX followers_report_once ON followers (report_id, address) WHERE report_id IS NOT NULL;
CREATE UNIQUE INDEX followers_cover_once ON followers (cover_id, address) WHERE cover_id IS NOT NULL;
CREATE INDEX followers_unconfirmed ON followers (address) WHERE confirmed_at IS NULL;

-- What the desk asked whoever reported, and what they wrote.
CREATE TABLE citizen_words (
    id UUID PRIMARY KEY,
    report_id UUID NOT NULL REFERENCES reports (id),
    voice TEXT NOT NULL,
    text TEXT NOT NULL,
    actor TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    answered_at BIGINT
);
CREATE INDEX citizen_words_report ON citizen_words (report_id, created_at);
CREATE INDEX citizen_words_open ON citizen_words (created_at) WHERE answered_at IS NULL;

-- What a follower is told; written out when it leaves.
CREATE TABLE citizen_messages (
    id UUID PRIMARY KEY,
    follower_id UUID NOT NULL REFERENCES followers (id),
    kind TEXT NOT NULL,
    case_id UUID REFERENCES cases (id),
    word_id UUID REFERENCES citizen_words (id),
    created_at BIGINT NOT NULL
);
CREATE INDEX citizen_messages_follower ON citizen_messages (follower_id, case_id, kind);

-- Photos of work that the public may see, with what is covered up in them.
CREATE TABLE released_photos (
    photo_id UUID PRIMARY KEY REFERENCES photos (id),
    boxes TEXT NOT NULL,
    actor TEXT NOT NULL,
    released_at BIGINT NOT NULL
);

-- How content whoever reported is. `again_id` is the report by which they said that it is not mended.
CREATE TABLE ratings (
    report_id UUID PRIMARY KEY REFERENCES reports (id),
    score BIGINT NOT NULL,
    text TEXT NOT NULL,
    again_id UUID REFERENCES reports (id),
    rated_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

CREATE TABLE call_backs (
    id UUID PRIMARY KEY,
    report_id UUID NOT NULL REFERENCES reports (id),
    asked_at BIGINT NOT NULL,
    outcome TEXT,
    done_by TEXT,
    done_at BIGINT
);
CREATE UNIQUE INDEX call_backs_one_open ON call_backs (report_id) WHERE done_at IS NULL;

-- 我也遇到: who stands in front of the same hazard and taps.
CREATE TABLE same_here (
    case_id UUID NOT NULL REFERENCES cases (id),
    key UUID NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (case_id, key)
);

-- What was joined to a case, to find everybody who waits for it.
CREATE INDEX cases_joined ON cases (joined_to) WHERE joined_to IS NOT NULL;
