-- Campaigns and patrol plans, and how their streets are divided among crews.
CREATE TABLE campaigns (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    -- JSON: which covers. TOML: what is asked at each. JSON: ids of users, in their order.
    scope TEXT NOT NULL,
    checklist TEXT NOT NULL,
    crews TEXT NOT NULL,
    repeat_rule TEXT,
    from_at INTEGER NOT NULL,
    until_at INTEGER NOT NULL,
    -- The newest round: its number, its days, how far its tasks have come.
    round INTEGER NOT NULL,
    round_from INTEGER NOT NULL,
    round_until INTEGER NOT NULL,
    stage TEXT NOT NULL,
    cursor BLOB,
    actor TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX campaigns_running ON campaigns (id) WHERE state = 'running';

CREATE TABLE campaign_streets (
    campaign_id BLOB NOT NULL REFERENCES campaigns (id),
    district TEXT NOT NULL,
    -- Empty = covers of which nobody knows the road.
    road TEXT NOT NULL,
    covers INTEGER NOT NULL,
    crew_id BLOB REFERENCES users (id),
    PRIMARY KEY (campaign_id, district, road)
) STRICT, WITHOUT ROWID;

-- One visit to one cover, whatever asked for it.
CREATE TABLE tasks (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    campaign_id BLOB REFERENCES campaigns (id),
    round INTEGER NOT NULL,
    -- 回头看: the closed case that is looked at again, and who handled it.
    case_id BLOB REFERENCES cases (id),
    party_id BLOB REFERENCES parties (id),
    cover_id BLOB NOT NULL REFERENCES covers (id),
    district TEXT NOT NULL,
    road TEXT,
    -- NULL = any crew.
    crew_id BLOB REFERENCES users (id),
    from_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    result TEXT,
    answers TEXT NOT NULL,
    note TEXT,
    done_by BLOB REFERENCES users (id),
    done_at INTEGER,
    distance_m REAL,
    raised_case_id BLOB REFERENCES cases (id),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX tasks_once_a_round ON tasks (campaign_id, round, cover_id) WHERE campaign_id IS NOT NULL;
CREATE INDEX tasks_of_campaign ON tasks (campaign_id, round, id) WHERE campaign_id IS NOT NULL;
CREATE UNIQUE INDEX tasks_one_due ON tasks (cover_id, kind) WHERE state = 'open' AND kind IN ('fall_net', 'inspection');
CREATE UNIQUE INDEX tasks_one_look ON tasks (case_id, due_at) WHERE case_id IS NOT NULL;
CREATE INDEX tasks_open_cover ON tasks (cover_id) WHERE state = 'open';
CREATE INDEX tasks_open_due ON tasks (due_at, id) WHERE state = 'open';
CREATE INDEX tasks_open_campaign ON tasks (campaign_id, id) WHERE state = 'open';
CREATE INDEX tasks_looked_at ON tasks (done_at) WHERE kind = 'look_back' AND state = 'done';

-- When the fall net of a cover or the cover itself must be looked at next; a cover without a row has no such date.
CREATE TABLE due_dates (
    cover_id BLOB NOT NULL REFERENCES covers (id),
    kind TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    set_at INTEGER NOT NULL,
    PRIMARY KEY (cover_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX due_dates_due ON due_dates (due_at);
