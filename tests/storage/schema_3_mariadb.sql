-- The tables of schema 3 as a fresh MariaDB database got them: the first schema that it had.
CREATE TABLE wk_alert (
    key_hash VARCHAR(32) NOT NULL,
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    rule MEDIUMTEXT NOT NULL,
    label_group MEDIUMTEXT NOT NULL,
    state VARCHAR(32) NOT NULL,
    data MEDIUMTEXT NOT NULL,
    incident BIGINT,
    version INTEGER NOT NULL,
    PRIMARY KEY (key_hash)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_alert_scope ON wk_alert (service, environment);
CREATE TABLE wk_check (
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    name VARCHAR(200) NOT NULL,
    worker BIGINT NOT NULL,
    state VARCHAR(32) NOT NULL,
    since DOUBLE NOT NULL,
    at DOUBLE NOT NULL,
    duration_s DOUBLE NOT NULL,
    output MEDIUMTEXT NOT NULL,
    critical SMALLINT NOT NULL,
    failures BIGINT NOT NULL,
    successes BIGINT NOT NULL,
    PRIMARY KEY (service, environment, name, worker)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_check_at ON wk_check (at);
CREATE TABLE wk_check_change (
    id BIGINT NOT NULL AUTO_INCREMENT,
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    name VARCHAR(200) NOT NULL,
    worker BIGINT NOT NULL,
    `before` VARCHAR(32) NOT NULL,
    after VARCHAR(32) NOT NULL,
    at DOUBLE NOT NULL,
    output MEDIUMTEXT NOT NULL,
    PRIMARY KEY (id)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_check_change_at ON wk_check_change (at);
CREATE INDEX wk_check_change_scope ON wk_check_change (service, environment, at);
CREATE TABLE wk_chunk (
    hour BIGINT NOT NULL,
    series BIGINT NOT NULL,
    part INTEGER NOT NULL,
    format SMALLINT NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (hour, series, part)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE TABLE wk_event (
    at DOUBLE NOT NULL,
    id VARCHAR(64) NOT NULL,
    issue BIGINT NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    method VARCHAR(200) NOT NULL,
    route VARCHAR(200) NOT NULL,
    status INTEGER NOT NULL,
    `release` VARCHAR(200) NOT NULL,
    request_id VARCHAR(200) NOT NULL,
    path VARCHAR(64) NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (at, id)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_event_issue ON wk_event (issue, at);
CREATE TABLE wk_frame (
    resolution INTEGER NOT NULL,
    start BIGINT NOT NULL,
    worker BIGINT NOT NULL,
    sequence INTEGER NOT NULL,
    part INTEGER NOT NULL,
    rolled SMALLINT NOT NULL,
    format SMALLINT NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (resolution, start, worker, sequence, part)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_frame_rolled ON wk_frame (rolled, resolution, start);
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
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE TABLE wk_incident (
    id BIGINT NOT NULL AUTO_INCREMENT,
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    rule MEDIUMTEXT NOT NULL,
    label_group MEDIUMTEXT NOT NULL,
    severity VARCHAR(32) NOT NULL,
    state VARCHAR(32) NOT NULL,
    started_at DOUBLE NOT NULL,
    fired_at DOUBLE,
    resolved_at DOUBLE,
    value DOUBLE,
    peak DOUBLE,
    reason MEDIUMTEXT NOT NULL,
    data MEDIUMTEXT NOT NULL,
    PRIMARY KEY (id)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_incident_resolved ON wk_incident (resolved_at);
CREATE INDEX wk_incident_scope ON wk_incident (service, environment, started_at);
CREATE TABLE wk_issue (
    id BIGINT NOT NULL AUTO_INCREMENT,
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    `release` VARCHAR(200) NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    type VARCHAR(200) NOT NULL,
    title MEDIUMTEXT NOT NULL,
    culprit VARCHAR(200) NOT NULL,
    level VARCHAR(200) NOT NULL,
    state VARCHAR(32) NOT NULL,
    count BIGINT NOT NULL,
    first_at DOUBLE NOT NULL,
    last_at DOUBLE NOT NULL,
    last_release VARCHAR(200) NOT NULL,
    PRIMARY KEY (id)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_issue_last ON wk_issue (last_at);
CREATE INDEX wk_issue_scope ON wk_issue (service, environment, last_at);
CREATE TABLE wk_issue_alias (
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    issue BIGINT NOT NULL,
    PRIMARY KEY (service, environment, fingerprint)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_issue_alias_issue ON wk_issue_alias (issue);
CREATE TABLE wk_issue_count (
    issue BIGINT NOT NULL,
    start BIGINT NOT NULL,
    resolution INTEGER NOT NULL,
    worker BIGINT NOT NULL,
    sequence INTEGER NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (issue, start, resolution, worker, sequence)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_issue_count_start ON wk_issue_count (start);
CREATE TABLE wk_lease (
    name VARCHAR(200) NOT NULL,
    owner VARCHAR(200) NOT NULL,
    token BIGINT NOT NULL,
    until DOUBLE NOT NULL,
    PRIMARY KEY (name)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE TABLE wk_meta (
    name VARCHAR(200) NOT NULL,
    value MEDIUMTEXT NOT NULL,
    PRIMARY KEY (name)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE TABLE wk_outbox (
    id BIGINT NOT NULL AUTO_INCREMENT,
    message_id VARCHAR(64) NOT NULL,
    incident BIGINT NOT NULL,
    kind VARCHAR(32) NOT NULL,
    sequence INTEGER NOT NULL,
    channel VARCHAR(200) NOT NULL,
    payload MEDIUMTEXT NOT NULL,
    status VARCHAR(32) NOT NULL,
    attempts INTEGER NOT NULL,
    created_at DOUBLE NOT NULL,
    next_try_at DOUBLE NOT NULL,
    claim VARCHAR(64) NOT NULL,
    claim_until DOUBLE NOT NULL,
    last_error MEDIUMTEXT NOT NULL,
    sent_at DOUBLE,
    PRIMARY KEY (id),
    CONSTRAINT wk_outbox_once UNIQUE (incident, kind, sequence, channel)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_outbox_due ON wk_outbox (status, next_try_at);
CREATE TABLE wk_sample (
    at DOUBLE NOT NULL,
    id VARCHAR(64) NOT NULL,
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    reason VARCHAR(32) NOT NULL,
    method VARCHAR(200) NOT NULL,
    route VARCHAR(200) NOT NULL,
    status INTEGER NOT NULL,
    duration_s DOUBLE NOT NULL,
    request_id VARCHAR(200) NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    `release` VARCHAR(200) NOT NULL,
    worker BIGINT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (at, id)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_sample_fingerprint ON wk_sample (fingerprint, at);
CREATE INDEX wk_sample_id ON wk_sample (id);
CREATE INDEX wk_sample_request ON wk_sample (request_id);
CREATE INDEX wk_sample_route ON wk_sample (service, environment, route, at);
CREATE INDEX wk_sample_scope ON wk_sample (service, environment, at);
CREATE TABLE wk_series (
    id BIGINT NOT NULL AUTO_INCREMENT,
    key_hash VARCHAR(32) NOT NULL,
    metric VARCHAR(200) NOT NULL,
    kind VARCHAR(32) NOT NULL,
    across VARCHAR(32) NOT NULL,
    labels MEDIUMTEXT NOT NULL,
    first_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (key_hash)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE TABLE wk_statement (
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    db VARCHAR(200) NOT NULL,
    operation VARCHAR(200) NOT NULL,
    text MEDIUMTEXT NOT NULL,
    callers MEDIUMTEXT NOT NULL,
    at DOUBLE NOT NULL,
    PRIMARY KEY (service, environment, fingerprint)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_statement_at ON wk_statement (at);
CREATE TABLE wk_token (
    digest VARCHAR(128) NOT NULL,
    purpose VARCHAR(64) NOT NULL,
    expires_at DOUBLE NOT NULL,
    PRIMARY KEY (digest, purpose)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_token_expires ON wk_token (expires_at);
CREATE TABLE wk_worker (
    id BIGINT NOT NULL AUTO_INCREMENT,
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    `release` VARCHAR(200) NOT NULL,
    host VARCHAR(200) NOT NULL,
    number INTEGER NOT NULL,
    pid BIGINT NOT NULL,
    started_at DOUBLE NOT NULL,
    seen_at DOUBLE NOT NULL,
    stopped_at DOUBLE,
    PRIMARY KEY (id)
) ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin;
CREATE INDEX wk_worker_scope ON wk_worker (service, environment, seen_at);
CREATE INDEX wk_worker_seen ON wk_worker (seen_at);
