-- Devices under covers. From heard_at on the columns are what is remembered of their readings: `memory` is one JSON, because
-- every message changes all of it, and `next_at` is when time alone will change something.
CREATE TABLE sensors (
    id UUID PRIMARY KEY,
    serial TEXT NOT NULL CONSTRAINT sensors_serial_once UNIQUE,
    model TEXT NOT NULL,
    state TEXT NOT NULL,
    cover_id UUID REFERENCES covers (id),
    installed_at BIGINT,
    disarmed_until BIGINT,
    disarm_reason TEXT,
    created_at BIGINT NOT NULL,
    heard_at BIGINT NOT NULL DEFAULT 0,
    next_at BIGINT NOT NULL DEFAULT 9223372036854775807,
    alarmed BOOLEAN NOT NULL DEFAULT FALSE,
    low_battery BOOLEAN NOT NULL DEFAULT FALSE,
    memory TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX sensors_cover ON sensors (cover_id) WHERE cover_id IS NOT NULL;
CREATE INDEX sensors_next ON sensors (next_at) WHERE next_at < 9223372036854775807;

-- What a device measured in an hour that is over; the hour that runs is in the device's memory.
CREATE TABLE sensor_hours (
    sensor_id UUID NOT NULL REFERENCES sensors (id),
    quantity TEXT NOT NULL,
    hour BIGINT NOT NULL,
    readings BIGINT NOT NULL,
    least DOUBLE PRECISION NOT NULL,
    most DOUBLE PRECISION NOT NULL,
    last DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (sensor_id, quantity, hour)
);
CREATE INDEX sensor_hours_old ON sensor_hours (hour);
