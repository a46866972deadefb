"""Each change of the schema, spelled out; taken in order by `migrations`."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.schema import CreateTable

from watchkeeper.storage.sql import partitions
from watchkeeper.storage.sql.database import Database
from watchkeeper.storage.sql.schema import metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of the schema; a fresh database gets all of them at once from `schema`."""

    number: int
    title: str
    run: Callable[[Database, Connection], None]


def _create(database: Database, connection: Connection) -> None:
    for one in metadata.sorted_tables:
        with database.dialect.again():
            connection.execute(CreateTable(one))
        for index in sorted(one.indexes, key=lambda index: str(index.name)):
            with database.dialect.again():
                index.create(connection)
    if database.dialect.partitions:
        # Payloads are compressed already.
        packed = (
            ("wk_frame", "payload"),
            ("wk_chunk", "payload"),
            ("wk_hour", "histogram"),
            ("wk_event", "data"),
            ("wk_sample", "data"),
        )
        for table, column in packed:
            connection.exec_driver_sql(
                f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL"
            )
        partitions.create_defaults(connection)
        partitions.create(connection, partitions.wanted(time.time()))


# From the second step on, a step spells out its change; it never asks `schema` what is current.
# MariaDB came with the third: the steps up to there are never taken on it.
_SAMPLES: Final = (
    """
    CREATE TABLE wk_sample (
        at {double} NOT NULL,
        id VARCHAR(64) NOT NULL,
        service VARCHAR(200) NOT NULL,
        environment VARCHAR(200) NOT NULL,
        reason VARCHAR(32) NOT NULL,
        method VARCHAR(200) NOT NULL,
        route VARCHAR(200) NOT NULL,
        status INTEGER NOT NULL,
        duration_s {double} NOT NULL,
        request_id VARCHAR(200) NOT NULL,
        fingerprint VARCHAR(64) NOT NULL,
        release VARCHAR(200) NOT NULL,
        worker BIGINT NOT NULL,
        data {bytes} NOT NULL,
        PRIMARY KEY (at, id)
    ) {by_day}
    """,
    "CREATE INDEX wk_sample_id ON wk_sample (id)",
    "CREATE INDEX wk_sample_scope ON wk_sample (service, environment, at)",
    "CREATE INDEX wk_sample_route ON wk_sample (service, environment, route, at)",
    "CREATE INDEX wk_sample_fingerprint ON wk_sample (fingerprint, at)",
    "CREATE INDEX wk_sample_request ON wk_sample (request_id)",
    """
    CREATE TABLE wk_statement (
        service VARCHAR(200) NOT NULL,
        environment VARCHAR(200) NOT NULL,
        fingerprint VARCHAR(64) NOT NULL,
        db VARCHAR(200) NOT NULL,
        operation VARCHAR(200) NOT NULL,
        text TEXT NOT NULL,
        callers TEXT NOT NULL,
        at {double} NOT NULL,
        PRIMARY KEY (service, environment, fingerprint)
    )
    """,
    "CREATE INDEX wk_statement_at ON wk_statement (at)",
)
_SAMPLES_BY_DAY: Final = (
    "ALTER TABLE wk_sample ALTER COLUMN data SET STORAGE EXTERNAL",
    "CREATE TABLE wk_sample_default PARTITION OF wk_sample DEFAULT",
)


def _add_samples(database: Database, connection: Connection) -> None:
    by_day = database.dialect.partitions
    for statement in _SAMPLES:
        database.dialect.change(
            connection,
            statement.format(
                double="DOUBLE PRECISION" if by_day else "DOUBLE",
                bytes="BYTEA" if by_day else "BLOB",
                by_day="PARTITION BY RANGE (at)" if by_day else "",
            ),
        )
    if by_day:
        for statement in _SAMPLES_BY_DAY:
            connection.exec_driver_sql(statement)
        days = [one for one in partitions.wanted(time.time()) if one.table == "wk_sample"]
        partitions.create(connection, days)


_HOURS: Final = (
    """
    CREATE TABLE wk_chunk (
        hour BIGINT NOT NULL,
        series BIGINT NOT NULL,
        part INTEGER NOT NULL,
        format SMALLINT NOT NULL,
        payload {bytes} NOT NULL,
        PRIMARY KEY (hour, series, part)
    )
    """,
    """
    CREATE TABLE wk_hour (
        start BIGINT NOT NULL,
        series BIGINT NOT NULL,
        count BIGINT NOT NULL,
        sum {double} NOT NULL,
        min {double} NOT NULL,
        max {double} NOT NULL,
        p50 {double},
        p95 {double},
        p99 {double},
        last {double},
        revision INTEGER NOT NULL,
        format SMALLINT NOT NULL,
        histogram {bytes},
        PRIMARY KEY (start, series)
    )
    """,
)
_HOURS_PLAIN: Final = (
    "ALTER TABLE wk_chunk ALTER COLUMN payload SET STORAGE EXTERNAL",
    "ALTER TABLE wk_hour ALTER COLUMN histogram SET STORAGE EXTERNAL",
)


def _add_hours(database: Database, connection: Connection) -> None:
    by_day = database.dialect.partitions
    for statement in (*_HOURS, *(_HOURS_PLAIN if by_day else ())):
        database.dialect.change(
            connection,
            statement.format(
                double="DOUBLE PRECISION" if by_day else "DOUBLE",
                bytes="BYTEA" if by_day else "BLOB",
            ),
        )


_DEPLOYS: Final = (
    """
    CREATE TABLE wk_release (
        service VARCHAR(200) NOT NULL,
        environment VARCHAR(200) NOT NULL,
        {release} VARCHAR(200) NOT NULL,
        at {double} NOT NULL,
        set_by VARCHAR(200) NOT NULL,
        PRIMARY KEY (service, environment, {release})
    ) {options}
    """,
    "CREATE INDEX wk_release_scope ON wk_release (service, environment, at)",
    "CREATE INDEX wk_release_at ON wk_release (at)",
    """
    CREATE TABLE wk_audit (
        id {id},
        service VARCHAR(200) NOT NULL,
        environment VARCHAR(200) NOT NULL,
        at {double} NOT NULL,
        actor VARCHAR(200) NOT NULL,
        action VARCHAR(64) NOT NULL,
        target VARCHAR(200) NOT NULL,
        data {text} NOT NULL
    ) {options}
    """,
    "CREATE INDEX wk_audit_scope ON wk_audit (service, environment, at)",
    "CREATE INDEX wk_audit_at ON wk_audit (at)",
    # What the workers of the last days ran is marked, so that charts begin with their deploys.
    """
    INSERT INTO wk_release (service, environment, {release}, at, set_by)
    SELECT service, environment, {release}, MIN(started_at), '' FROM wk_worker
    WHERE {release} <> '' AND NOT EXISTS (
        SELECT 1 FROM wk_release known WHERE known.service = wk_worker.service
        AND known.environment = wk_worker.environment
        AND known.{release} = wk_worker.{release}
    )
    GROUP BY service, environment, {release}
    """,
)
_WORDS: Final = {
    "sqlite": {
        "id": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT",
        "release": "release",
        "double": "DOUBLE",
        "text": "TEXT",
        "options": "",
    },
    "postgresql": {
        "id": "BIGSERIAL NOT NULL PRIMARY KEY",
        "release": "release",
        "double": "DOUBLE PRECISION",
        "text": "TEXT",
        "options": "",
    },
    "mariadb": {
        "id": "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",
        "release": "`release`",
        "double": "DOUBLE",
        "text": "MEDIUMTEXT",
        "options": "ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC COLLATE utf8mb4_bin",
    },
}


def _add_deploys(database: Database, connection: Connection) -> None:
    words = _WORDS[database.dialect.name]
    for statement in _DEPLOYS:
        database.dialect.change(connection, statement.format(**words))


# Columns with defaults: a process of before goes on adding issues.
_TRIAGE: Final = (
    "ALTER TABLE wk_issue ADD COLUMN state_at {double} NOT NULL DEFAULT 0",
    "ALTER TABLE wk_issue ADD COLUMN state_by VARCHAR(200) NOT NULL DEFAULT ''",
    "ALTER TABLE wk_issue ADD COLUMN state_data {text} NOT NULL DEFAULT '{{}}'",
    "ALTER TABLE wk_issue ADD COLUMN version BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE wk_issue ADD COLUMN users BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE wk_sample ADD COLUMN path VARCHAR(64) NOT NULL DEFAULT ''",
    "CREATE INDEX wk_issue_state ON wk_issue (service, environment, state, last_at)",
    """
    CREATE TABLE wk_issue_facet (
        issue BIGINT NOT NULL,
        kind VARCHAR(32) NOT NULL,
        value VARCHAR(200) NOT NULL,
        count BIGINT NOT NULL,
        first_at {double} NOT NULL,
        last_at {double} NOT NULL,
        PRIMARY KEY (issue, kind, value)
    ) {options}
    """,
    "CREATE INDEX wk_issue_facet_value ON wk_issue_facet (kind, value)",
    """
    CREATE TABLE wk_issue_entry (
        id {id},
        issue BIGINT NOT NULL,
        at {double} NOT NULL,
        actor VARCHAR(200) NOT NULL,
        state_before VARCHAR(32) NOT NULL,
        state_after VARCHAR(32) NOT NULL,
        reason VARCHAR(32) NOT NULL,
        comment {text} NOT NULL,
        data {text} NOT NULL
    ) {options}
    """,
    "CREATE INDEX wk_issue_entry_issue ON wk_issue_entry (issue, at)",
    "CREATE INDEX wk_issue_entry_at ON wk_issue_entry (at)",
    "CREATE INDEX wk_issue_count_resolution ON wk_issue_count (resolution, start)",
    "CREATE INDEX wk_issue_alias_name ON wk_issue_alias (fingerprint)",
    "CREATE INDEX wk_event_id ON wk_event (id)",
    "CREATE INDEX wk_event_request ON wk_event (request_id)",
)


def _add_triage(database: Database, connection: Connection) -> None:
    words = _WORDS[database.dialect.name]
    for statement in _TRIAGE:
        database.dialect.change(connection, statement.format(**words))


# Columns with defaults: a process of before goes on adding incidents and messages.
_ALERTING: Final = (
    "ALTER TABLE wk_incident ADD COLUMN acked_at {double}",
    "ALTER TABLE wk_incident ADD COLUMN acked_by VARCHAR(200) NOT NULL DEFAULT ''",
    "ALTER TABLE wk_incident ADD COLUMN ack_note {text} NOT NULL DEFAULT ''",
    "ALTER TABLE wk_outbox ADD COLUMN service VARCHAR(200) NOT NULL DEFAULT ''",
    "ALTER TABLE wk_outbox ADD COLUMN environment VARCHAR(200) NOT NULL DEFAULT ''",
    "ALTER TABLE wk_outbox ADD COLUMN priority SMALLINT NOT NULL DEFAULT 0",
    "CREATE INDEX wk_outbox_channel ON wk_outbox (service, environment, channel, created_at)",
    """
    CREATE TABLE wk_silence (
        id {id},
        service VARCHAR(200) NOT NULL,
        environment VARCHAR(200) NOT NULL,
        matchers {text} NOT NULL,
        starts_at {double} NOT NULL,
        ends_at {double},
        schedule {text} NOT NULL,
        author VARCHAR(200) NOT NULL,
        comment {text} NOT NULL,
        created_at {double} NOT NULL,
        ended_at {double}
    ) {options}
    """,
    "CREATE INDEX wk_silence_scope ON wk_silence (service, environment)",
    """
    CREATE TABLE wk_rule (
        service VARCHAR(200) NOT NULL,
        environment VARCHAR(200) NOT NULL,
        name VARCHAR(200) NOT NULL,
        json {text} NOT NULL,
        hash VARCHAR(64) NOT NULL,
        enabled SMALLINT NOT NULL,
        version BIGINT NOT NULL,
        updated_at {double} NOT NULL,
        updated_by VARCHAR(200) NOT NULL,
        PRIMARY KEY (service, environment, name)
    ) {options}
    """,
)


def _add_alerting(database: Database, connection: Connection) -> None:
    words = _WORDS[database.dialect.name]
    for statement in _ALERTING:
        database.dialect.change(connection, statement.format(**words))


# Columns with defaults: a process of before goes on telling results.
_CHECK_DATA: Final = (
    "ALTER TABLE wk_check ADD COLUMN data {text} NOT NULL DEFAULT '{{}}'",
    "ALTER TABLE wk_check_change ADD COLUMN critical SMALLINT NOT NULL DEFAULT 1",
)


def _add_check_data(database: Database, connection: Connection) -> None:
    words = _WORDS[database.dialect.name]
    for statement in _CHECK_DATA:
        database.dialect.change(connection, statement.format(**words))


_SERIES_IN_USE: Final = (
    "CREATE INDEX wk_series_metric ON wk_series (metric, seen_at)",
    "CREATE INDEX wk_series_seen ON wk_series (seen_at)",
)


def _find_series(database: Database, connection: Connection) -> None:
    for statement in _SERIES_IN_USE:
        database.dialect.change(connection, statement)


STEPS: Final[Sequence[Step]] = (
    Step(number=1, title="the first tables", run=_create),
    Step(number=2, title="samples and statements", run=_add_samples),
    Step(number=3, title="hours and their chunks", run=_add_hours),
    Step(number=4, title="deploy marks and the audit", run=_add_deploys),
    Step(number=5, title="what people do with issues", run=_add_triage),
    Step(number=6, title="silences, rules and who takes incidents on", run=_add_alerting),
    Step(number=7, title="what health checks measured", run=_add_check_data),
    Step(number=8, title="series found by when they were in use", run=_find_series),
)
