-- What step 7 added to the tables of a SQLite database of schema 6.
ALTER TABLE wk_check ADD COLUMN data TEXT NOT NULL DEFAULT '{}';
ALTER TABLE wk_check_change ADD COLUMN critical SMALLINT NOT NULL DEFAULT 1;
UPDATE wk_meta SET value = '7' WHERE name = 'schema';
