-- What step 5 added to the tables of a SQLite database of schema 4.
ALTER TABLE wk_issue ADD COLUMN state_at DOUBLE NOT NULL DEFAULT 0;
ALTER TABLE wk_issue ADD COLUMN state_by VARCHAR(200) NOT NULL DEFAULT '';
ALTER TABLE wk_issue ADD COLUMN state_data TEXT NOT NULL DEFAULT '{}';
ALTER TABLE wk_issue ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE wk_issue ADD COLUMN users BIGINT NOT NULL DEFAULT 0;
ALTER TABLE wk_sample ADD COLUMN path VARCHAR(64) NOT NULL DEFAULT '';
CREATE INDEX wk_issue_state ON wk_issue (service, environment, state, last_at);
CREATE TABLE wk_issue_facet (
    issue BIGINT NOT NULL,
    kind VARCHAR(32) NOT NULL,
    value VARCHAR(200) NOT NULL,
    count BIGINT NOT NULL,
    first_at DOUBLE NOT NULL,
    last_at DOUBLE NOT NULL,
    PRIMARY KEY (issue, kind, value)
);
CREATE INDEX wk_issue_facet_value ON wk_issue_facet (kind, value);
CREATE TABLE wk_issue_entry (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    issue BIGINT NOT NULL,
    at DOUBLE NOT NULL,
    actor VARCHAR(200) NOT NULL,
    state_before VARCHAR(32) NOT NULL,
    state_after VARCHAR(32) NOT NULL,
    reason VARCHAR(32) NOT NULL,
    comment TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX wk_issue_entry_issue ON wk_issue_entry (issue, at);
CREATE INDEX wk_issue_entry_at ON wk_issue_entry (at);
CREATE INDEX wk_issue_count_resolution ON wk_issue_count (resolution, start);
CREATE INDEX wk_issue_alias_name ON wk_issue_alias (fingerprint);
CREATE INDEX wk_event_id ON wk_event (id);
CREATE INDEX wk_event_request ON wk_event (request_id);
UPDATE wk_meta SET value = '5' WHERE name = 'schema';
