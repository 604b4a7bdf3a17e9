-- Campaigns and patrol plans, and how their streets are divided among crews.
CREATE TABLE campaigns (
    id UUID PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    -- JSON: which covers. TOML: what is asked at each. JSON: ids of users, in their order.
    scope TEXT NOT NULL,
    checklist TEXT NOT NULL,
    crews TEXT NOT NULL,
    repeat_rule TEXT,
    from_at BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    -- The newest round: its number, its days, how far its tasks have come.
    round BIGINT NOT NULL,
    round_from BIGINT NOT NULL,
    round_until BIGINT NOT NULL,
    stage TEXT NOT NULL,
    cursor UUID,
    actor TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX campaigns_running ON campaigns (id) WHERE state = 'running';

CREATE TABLE campaign_streets (
    campaign_id UUID NOT NULL REFERENCES campaigns (id),
    district TEXT NOT NULL,
    -- Empty = covers of which nobody knows the road.
    road TEXT NOT NULL,
    covers BIGINT NOT NULL,
    crew_id UUID REFERENCES users (id),
    PRIMARY KEY (campaign_id, district, road)
);

-- One visit to one cover, whatever asked for it.
CREATE TABLE tasks (
    id UUID PRIMARY KEY,
    kind TEXT NOT NULL,
    campaign_id UUID REFERENCES campaigns (id),
    round BIGINT NOT NULL,
    -- 回头看: the closed case that is looked at again, and who handled it.
    case_id UUID REFERENCES cases (id),
    party_id UUID REFERENCES parties (id),
    cover_id UUID NOT NULL REFERENCES covers (id),
    district TEXT NOT NULL,
    road TEXT,
    -- NULL = any crew.
    crew_id UUID REFERENCES users (id),
    from_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    result TEXT,
    answers TEXT NOT NULL,
    note TEXT,
    done_by UUID REFERENCES users (id),
    done_at BIGINT,
    distance_m DOUBLE PRECISION,
    raised_case_id UUID REFERENCES cases (id),
    created_at BIGINT NOT NULL
);
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
    cover_id UUID NOT NULL REFERENCES covers (id),
    kind TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    set_at BIGINT NOT NULL,
    PRIMARY KEY (cover_id, kind)
);
CREATE INDEX due_dates_due ON due_dates (due_at);
