-- What step 6 added to the tables of a PostgreSQL database of schema 5.
ALTER TABLE wk_incident ADD COLUMN acked_at DOUBLE PRECISION;
ALTER TABLE wk_incident ADD COLUMN acked_by VARCHAR(200) NOT NULL DEFAULT '';
ALTER TABLE wk_incident ADD COLUMN ack_note TEXT NOT NULL DEFAULT '';
ALTER TABLE wk_outbox ADD COLUMN service VARCHAR(200) NOT NULL DEFAULT '';
ALTER TABLE wk_outbox ADD COLUMN environment VARCHAR(200) NOT NULL DEFAULT '';
ALTER TABLE wk_outbox ADD COLUMN priority SMALLINT NOT NULL DEFAULT 0;
CREATE INDEX wk_outbox_channel ON wk_outbox (service, environment, channel, created_at);
CREATE TABLE wk_silence (
    id BIGSERIAL NOT NULL PRIMARY KEY,
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    matchers TEXT NOT NULL,
    starts_at DOUBLE PRECISION NOT NULL,
    ends_at DOUBLE PRECISION,
    schedule TEXT NOT NULL,
    author VARCHAR(200) NOT NULL,
    comment TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    ended_at DOUBLE PRECISION
);
CREATE INDEX wk_silence_scope ON wk_silence (service, environment);
CREATE TABLE wk_rule (
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    name VARCHAR(200) NOT NULL,
    json TEXT NOT NULL,
    hash VARCHAR(64) NOT NULL,
    enabled SMALLINT NOT NULL,
    version BIGINT NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    updated_by VARCHAR(200) NOT NULL,
    PRIMARY KEY (service, environment, name)
);
UPDATE wk_meta SET value = '6' WHERE name = 'schema';
