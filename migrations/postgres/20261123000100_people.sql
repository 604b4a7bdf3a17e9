CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    last BIGINT NOT NULL
);

CREATE TABLE parties (
    id UUID PRIMARY KEY,
    name TEXT NOT NULL CONSTRAINT parties_name_once UNIQUE,
    hotline TEXT
);

CREATE TABLE users (
    id UUID PRIMARY KEY,
    login TEXT NOT NULL CONSTRAINT users_login_once UNIQUE,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    party_id UUID REFERENCES parties (id),
    password_hash TEXT NOT NULL,
    disabled BOOLEAN NOT NULL DEFAULT FALSE,
    failed_logins BIGINT NOT NULL DEFAULT 0,
    locked_until BIGINT,
    created_at BIGINT NOT NULL
);

CREATE TABLE sessions (
    secret_hash BYTEA PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE api_tokens (
    secret_hash BYTEA PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id),
    name TEXT NOT NULL CONSTRAINT api_tokens_name_once UNIQUE,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

CREATE TABLE idempotency (
    key UUID PRIMARY KEY,
    scope TEXT NOT NULL,
    request_hash BYTEA NOT NULL,
    answer TEXT NOT NULL,
    at BIGINT NOT NULL
);
