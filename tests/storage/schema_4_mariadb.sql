-- What step 4 added to the tables of a MariaDB database of schema 3.
CREATE TABLE wk_release (
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    `release` VARCHAR(200) NOT NULL,
    at DOUBLE NOT NULL,
    set_by VARCHAR(200) NOT NULL,
    PRIMARY KEY (service, environment, `release`)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_release_scope ON wk_release (service, environment, at);
CREATE INDEX wk_release_at ON wk_release (at);
CREATE TABLE wk_audit (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    at DOUBLE NOT NULL,
    actor VARCHAR(200) NOT NULL,
    action VARCHAR(64) NOT NULL,
    target VARCHAR(200) NOT NULL,
    data MEDIUMTEXT NOT NULL
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_audit_scope ON wk_audit (service, environment, at);
CREATE INDEX wk_audit_at ON wk_audit (at);
INSERT INTO wk_release (service, environment, `release`, at, set_by)
SELECT service, environment, `release`, MIN(started_at), '' FROM wk_worker
WHERE `release` <> '' AND NOT EXISTS (
    SELECT 1 FROM wk_release known WHERE known.service = wk_worker.service
    AND known.environment = wk_worker.environment
    AND known.`release` = wk_worker.`release`
)
GROUP BY service, environment, `release`;
UPDATE wk_meta SET value = '4' WHERE name = 'schema';
