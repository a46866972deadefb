-- What step 2 added to the tables of a PostgreSQL database of schema 1.
CREATE TABLE wk_sample (
    at DOUBLE PRECISION NOT NULL,
    id VARCHAR(64) NOT NULL,
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    reason VARCHAR(32) NOT NULL,
    method VARCHAR(200) NOT NULL,
    route VARCHAR(200) NOT NULL,
    status INTEGER NOT NULL,
    duration_s DOUBLE PRECISION NOT NULL,
    request_id VARCHAR(200) NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    release VARCHAR(200) NOT NULL,
    worker BIGINT NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);
ALTER TABLE wk_sample ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE TABLE wk_sample_default PARTITION OF wk_sample DEFAULT;
CREATE INDEX wk_sample_id ON wk_sample (id);
CREATE INDEX wk_sample_scope ON wk_sample (service, environment, at);
CREATE INDEX wk_sample_route ON wk_sample (service, environment, route, at);
CREATE INDEX wk_sample_fingerprint ON wk_sample (fingerprint, at);
CREATE INDEX wk_sample_request ON wk_sample (request_id);
CREATE TABLE wk_statement (
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    db VARCHAR(200) NOT NULL,
    operation VARCHAR(200) NOT NULL,
    text TEXT NOT NULL,
    callers TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (service, environment, fingerprint)
);
CREATE INDEX wk_statement_at ON wk_statement (at);
UPDATE wk_meta SET value = '2' WHERE name = 'schema';
