-- What came over Open311: requests, and words that were added to them. `case_id` is the case that goes on where that of
-- the request was closed; `followed` is a request that came another way and goes on in another case.
CREATE TABLE open311_requests (
    report_id BLOB PRIMARY KEY REFERENCES reports (id),
    kind TEXT NOT NULL,
    sender_id BLOB NOT NULL REFERENCES users (id),
    external_id TEXT,
    digest BLOB NOT NULL,
    account_id TEXT,
    device_id TEXT,
    media_url TEXT,
    follows BLOB REFERENCES reports (id),
    case_id BLOB REFERENCES cases (id),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX open311_external_once ON open311_requests (sender_id, kind, external_id)
    WHERE external_id IS NOT NULL;
CREATE INDEX open311_digest ON open311_requests (digest);
CREATE INDEX open311_case ON open311_requests (case_id) WHERE case_id IS NOT NULL;

-- Pages of requests, the newest before all, and what changed since a moment, without sorting them all.
CREATE INDEX reports_created ON reports (created_at, tracking);
CREATE INDEX cases_updated ON cases (updated_at);

-- A token of `open311` opens the POST of GeoReport and nothing else.
ALTER TABLE api_tokens ADD COLUMN scope TEXT NOT NULL DEFAULT 'staff';
