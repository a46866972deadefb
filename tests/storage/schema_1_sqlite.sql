-- The tables of schema 1 as a fresh SQLite database got them.
CREATE TABLE wk_alert (
    key_hash VARCHAR(32) NOT NULL,
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    rule TEXT NOT NULL,
    label_group TEXT NOT NULL,
    state VARCHAR(32) NOT NULL,
    data TEXT NOT NULL,
    incident BIGINT,
    version INTEGER NOT NULL,
    PRIMARY KEY (key_hash)
);
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
    output TEXT NOT NULL,
    critical SMALLINT NOT NULL,
    failures BIGINT NOT NULL,
    successes BIGINT NOT NULL,
    PRIMARY KEY (service, environment, name, worker)
);
CREATE INDEX wk_check_at ON wk_check (at);
CREATE TABLE wk_check_change (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    name VARCHAR(200) NOT NULL,
    worker BIGINT NOT NULL,
    "before" VARCHAR(32) NOT NULL,
    "after" VARCHAR(32) NOT NULL,
    at DOUBLE NOT NULL,
    output TEXT NOT NULL
);
CREATE INDEX wk_check_change_at ON wk_check_change (at);
CREATE INDEX wk_check_change_scope ON wk_check_change (service, environment, at);
CREATE TABLE wk_event (
    at DOUBLE NOT NULL,
    id VARCHAR(64) NOT NULL,
    issue BIGINT NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    method VARCHAR(200) NOT NULL,
    route VARCHAR(200) NOT NULL,
    status INTEGER NOT NULL,
    release VARCHAR(200) NOT NULL,
    request_id VARCHAR(200) NOT NULL,
    path VARCHAR(64) NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (at, id)
);
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
);
CREATE INDEX wk_frame_unrolled ON wk_frame (resolution, start, worker, sequence) WHERE rolled = 0 AND part = 0;
CREATE TABLE wk_incident (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    rule TEXT NOT NULL,
    label_group TEXT NOT NULL,
    severity VARCHAR(32) NOT NULL,
    state VARCHAR(32) NOT NULL,
    started_at DOUBLE NOT NULL,
    fired_at DOUBLE,
    resolved_at DOUBLE,
    value DOUBLE,
    peak DOUBLE,
    reason TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX wk_incident_resolved ON wk_incident (resolved_at);
CREATE INDEX wk_incident_scope ON wk_incident (service, environment, started_at);
CREATE TABLE wk_issue (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    release VARCHAR(200) NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    type VARCHAR(200) NOT NULL,
    title TEXT NOT NULL,
    culprit VARCHAR(200) NOT NULL,
    level VARCHAR(200) NOT NULL,
    state VARCHAR(32) NOT NULL,
    count BIGINT NOT NULL,
    first_at DOUBLE NOT NULL,
    last_at DOUBLE NOT NULL,
    last_release VARCHAR(200) NOT NULL
);
CREATE INDEX wk_issue_last ON wk_issue (last_at);
CREATE INDEX wk_issue_scope ON wk_issue (service, environment, last_at);
CREATE TABLE wk_issue_alias (
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    issue BIGINT NOT NULL,
    PRIMARY KEY (service, environment, fingerprint)
);
CREATE INDEX wk_issue_alias_issue ON wk_issue_alias (issue);
CREATE TABLE wk_issue_count (
    issue BIGINT NOT NULL,
    start BIGINT NOT NULL,
    resolution INTEGER NOT NULL,
    worker BIGINT NOT NULL,
    sequence INTEGER NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (issue, start, resolution, worker, sequence)
);
CREATE INDEX wk_issue_count_start ON wk_issue_count (start);
CREATE TABLE wk_lease (
    name VARCHAR(200) NOT NULL,
    owner VARCHAR(200) NOT NULL,
    token BIGINT NOT NULL,
    until DOUBLE NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE wk_meta (
    name VARCHAR(200) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE wk_outbox (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    message_id VARCHAR(64) NOT NULL,
    incident BIGINT NOT NULL,
    kind VARCHAR(32) NOT NULL,
    sequence INTEGER NOT NULL,
    channel VARCHAR(200) NOT NULL,
    payload TEXT NOT NULL,
    status VARCHAR(32) NOT NULL,
    attempts INTEGER NOT NULL,
    created_at DOUBLE NOT NULL,
    next_try_at DOUBLE NOT NULL,
    claim VARCHAR(64) NOT NULL,
    claim_until DOUBLE NOT NULL,
    last_error TEXT NOT NULL,
    sent_at DOUBLE,
    CONSTRAINT wk_outbox_once UNIQUE (incident, kind, sequence, channel)
);
CREATE INDEX wk_outbox_due ON wk_outbox (status, next_try_at);
CREATE TABLE wk_series (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    key_hash VARCHAR(32) NOT NULL,
    metric VARCHAR(200) NOT NULL,
    kind VARCHAR(32) NOT NULL,
    across VARCHAR(32) NOT NULL,
    labels TEXT NOT NULL,
    first_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    UNIQUE (key_hash)
);
CREATE TABLE wk_token (
    digest VARCHAR(128) NOT NULL,
    purpose VARCHAR(64) NOT NULL,
    expires_at DOUBLE NOT NULL,
    PRIMARY KEY (digest, purpose)
);
CREATE INDEX wk_token_expires ON wk_token (expires_at);
CREATE TABLE wk_worker (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    service VARCHAR(200) NOT NULL,
    environment VARCHAR(200) NOT NULL,
    release VARCHAR(200) NOT NULL,
    host VARCHAR(200) NOT NULL,
    number INTEGER NOT NULL,
    pid BIGINT NOT NULL,
    started_at DOUBLE NOT NULL,
    seen_at DOUBLE NOT NULL,
    stopped_at DOUBLE
);
CREATE INDEX wk_worker_scope ON wk_worker (service, environment, seen_at);
CREATE INDEX wk_worker_seen ON wk_worker (seen_at);
