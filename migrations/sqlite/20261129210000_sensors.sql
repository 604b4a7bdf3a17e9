-- Devices under covers. From heard_at on the columns are what is remembered of their readings: `memory` is one JSON, because
-- every message changes all of it, and `next_at` is when time alone will change something.
CREATE TABLE sensors (
    id BLOB PRIMARY KEY,
    serial TEXT NOT NULL CONSTRAINT sensors_serial_once UNIQUE,
    model TEXT NOT NULL,
    state TEXT NOT NULL,
    cover_id BLOB REFERENCES covers (id),
    installed_at INTEGER,
    disarmed_until INTEGER,
    disarm_reason TEXT,
    created_at INTEGER NOT NULL,
    heard_at INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER NOT NULL DEFAULT 9223372036854775807,
    alarmed INTEGER NOT NULL DEFAULT 0,
    low_battery INTEGER NOT NULL DEFAULT 0,
    memory TEXT NOT NULL DEFAULT '{}'
) STRICT, WITHOUT ROWID;
CREATE INDEX sensors_cover ON sensors (cover_id) WHERE cover_id IS NOT NULL;
CREATE INDEX sensors_next ON sensors (next_at) WHERE next_at < 9223372036854775807;

-- What a device measured in an hour that is over; the hour that runs is in the device's memory.
CREATE TABLE sensor_hours (
    sensor_id BLOB NOT NULL REFERENCES sensors (id),
    quantity TEXT NOT NULL,
    hour INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    least REAL NOT NULL,
    most REAL NOT NULL,
    last REAL NOT NULL,
    PRIMARY KEY (sensor_id, quantity, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX sensor_hours_old ON sensor_hours (hour);
