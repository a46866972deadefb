-- What step 6 added to the tables of a MariaDB database of schema 5.
ALTER TABLE wk_incident ADD COLUMN acked_at DOUBLE;
ALTER TABLE wk_incident ADD COLUMN acked_by VARCHAR(200) NOT NULL DEFAULT '';
ALTER TABLE wk_incident ADD COLUMN ack_note MEDIUMTEXT NOT NULL DEFAULT '';
ALTER TABLE wk_outbox ADD COLUMN service VARCHAR(200) NOT NULL DEFAULT '';
ALTER TABLE wk_outbox ADD COLUMN environment VARCHAR(200) NOT NULL DEFAULT '';
ALTER TABLE wk_outbox ADD COLUMN priority SMALLINT NOT NULL DEFAULT 0;
CREATE INDEX wk_outbox_channel ON wk_outbox (service, environment, channel, created_at);
CREATE TABLE wk_silence (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    matchers MEDIUMTEXT NOT NULL,
    starts_at DOUBLE NOT NULL,
    ends_at DOUBLE,
    schedule MEDIUMTEXT NOT NULL,
    author VARCHAR(200) NOT NULL,
    comment MEDIUMTEXT NOT NULL,
    created_at DOUBLE NOT NULL,
    ended_at DOUBLE
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_silence_scope ON wk_silence (service, environment);
CREATE TABLE wk_rule (
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    name VARCHAR(200) NOT NULL,
    json MEDIUMTEXT NOT NULL,
    hash VARCHAR(64) NOT NULL,
    enabled SMALLINT NOT NULL,
    version BIGINT NOT NULL,
    updated_at DOUBLE NOT NULL,
    updated_by VARCHAR(200) NOT NULL,
    PRIMARY KEY (service, environment, name)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
UPDATE wk_meta SET value = '6' WHERE name = 'schema';
