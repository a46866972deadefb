-- What step 3 added to the tables of a PostgreSQL database of schema 2.
CREATE TABLE wk_chunk (
    hour BIGINT NOT NULL,
    series BIGINT NOT NULL,
    part INTEGER NOT NULL,
    format SMALLINT NOT NULL,
    payload BYTEA NOT NULL,
    PRIMARY KEY (hour, series, part)
);
CREATE TABLE wk_hour (
    start BIGINT NOT NULL,
    series BIGINT NOT NULL,
    count BIGINT NOT NULL,
    sum DOUBLE PRECISION NOT NULL,
    min DOUBLE PRECISION NOT NULL,
    max DOUBLE PRECISION NOT NULL,
    p50 DOUBLE PRECISION,
    p95 DOUBLE PRECISION,
    p99 DOUBLE PRECISION,
    last DOUBLE PRECISION,
    revision INTEGER NOT NULL,
    format SMALLINT NOT NULL,
    histogram BYTEA,
    PRIMARY KEY (start, series)
);
ALTER TABLE wk_chunk ALTER COLUMN payload SET STORAGE EXTERNAL;
ALTER TABLE wk_hour ALTER COLUMN histogram SET STORAGE EXTERNAL;
UPDATE wk_meta SET value = '3' WHERE name = 'schema';
