-- What step 3 added to the tables of a SQLite database of schema 2.
CREATE TABLE wk_chunk (
    hour BIGINT NOT NULL,
    series BIGINT NOT NULL,
    part INTEGER NOT NULL,
    format SMALLINT NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (hour, series, part)
);
CREATE TABLE wk_hour (
    start BIGINT NOT NULL,
    series BIGINT NOT NULL,
    count BIGINT NOT NULL,
    sum DOUBLE NOT NULL,
    min DOUBLE NOT NULL,
    max DOUBLE NOT NULL,
    p50 DOUBLE,
    p95 DOUBLE,
    p99 DOUBLE,
    last DOUBLE,
    revision INTEGER NOT NULL,
    format SMALLINT NOT NULL,
    histogram BLOB,
    PRIMARY KEY (start, series)
);
UPDATE wk_meta SET value = '3' WHERE name = 'schema';
