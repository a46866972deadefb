"""The tables, as SQLAlchemy knows them; all names begin with `wk_`.

Times are seconds since the epoch (UTC): whole ones for slots, floats for moments. Text is cut in
code before it comes here, so the lengths are the maxima of `storage.rows`.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.mysql import MEDIUMTEXT

from watchkeeper.storage.rows import MAX_ACTION, MAX_FINGERPRINT, MAX_NAME, MAX_REASON

DAY_S: Final = 86_400
HASH_LENGTH: Final = 32  # hex digits of a 128-bit hash, where a key would be too long for an index

MARIADB: Final = ("mysql", "mariadb")  # as SQLAlchemy knows it, by what the URL says

metadata = MetaData()

# SQLite gives rowids to "INTEGER PRIMARY KEY" only; they are 64-bit there as well.
_Id = BigInteger().with_variant(Integer, "sqlite")
# TEXT of MariaDB ends at 64 kB.
_Text = Text().with_variant(MEDIUMTEXT(), *MARIADB)


def _is_mariadb(dialect: Dialect) -> bool:
    return dialect.name in MARIADB


def _name(column: str) -> "Column[str]":
    return Column(column, String(MAX_NAME), nullable=False)


def _moment(column: str, *, nullable: bool = False) -> "Column[float]":
    return Column(column, Double, nullable=nullable)


series = Table(
    "wk_series",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("key_hash", String(HASH_LENGTH), nullable=False, unique=True),
    _name("metric"),
    Column("kind", String(32), nullable=False),
    Column("across", String(32), nullable=False),
    Column("labels", _Text, nullable=False),  # canonical JSON, the scope labels among them
    Column("first_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),  # moved on by the roll-up, once an hour
    sqlite_autoincrement=True,
)

worker = Table(
    "wk_worker",
    metadata,
    Column("id", _Id, primary_key=True),
    _name("service"),
    _name("environment"),
    _name("release"),
    _name("host"),
    Column("number", Integer, nullable=False),
    Column("pid", BigInteger, nullable=False),
    _moment("started_at"),
    _moment("seen_at"),
    _moment("stopped_at", nullable=True),
    Index("wk_worker_scope", "service", "environment", "seen_at"),
    Index("wk_worker_seen", "seen_at"),
    sqlite_autoincrement=True,
)

frame = Table(
    "wk_frame",
    metadata,
    Column("resolution", Integer, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("worker", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("rolled", SmallInteger, nullable=False),  # 0 not yet, 1 rolled up, 2 damaged
    Column("format", SmallInteger, nullable=False),  # the payload's version, to choose by
    Column("payload", LargeBinary, nullable=False),
    # Resolution first: a whole day of one resolution is one partition, dropped at once.
    postgresql_partition_by="RANGE (resolution, start)",
)
# What waits for the roll-up is found without a look at what is done.
Index(
    "wk_frame_unrolled",
    frame.c.resolution,
    frame.c.start,
    frame.c.worker,
    frame.c.sequence,
    sqlite_where=text("rolled = 0 AND part = 0"),
    postgresql_where=text("rolled = 0 AND part = 0"),
).ddl_if(callable_=lambda *_, dialect, **__: not _is_mariadb(dialect))
# MariaDB has no index of some rows only; its own ends with the rest of the key anyway.
Index("wk_frame_rolled", frame.c.rolled, frame.c.resolution, frame.c.start).ddl_if(
    callable_=lambda *_, dialect, **__: _is_mariadb(dialect)
)

chunk = Table(
    "wk_chunk",
    metadata,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("series", BigInteger, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("format", SmallInteger, nullable=False),  # the payload's version, to choose by
    Column("payload", LargeBinary, nullable=False),
)

# The table that people query: what one series adds up to within one hour.
hour = Table(
    "wk_hour",
    metadata,
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("series", BigInteger, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    Column("sum", Double, nullable=False),
    Column("min", Double, nullable=False),
    Column("max", Double, nullable=False),
    Column("p50", Double),
    Column("p95", Double),
    Column("p99", Double),
    Column("last", Double),
    Column("revision", Integer, nullable=False),  # how often it was written
    Column("format", SmallInteger, nullable=False),  # the histogram's version
    Column("histogram", LargeBinary),
)

issue = Table(
    "wk_issue",
    metadata,
    Column("id", _Id, primary_key=True),
    _name("service"),
    _name("environment"),
    _name("release"),
    Column("fingerprint", String(MAX_FINGERPRINT), nullable=False),
    _name("type"),
    Column("title", _Text, nullable=False),
    _name("culprit"),
    _name("level"),
    Column("state", String(32), nullable=False),
    Column("count", BigInteger, nullable=False),
    _moment("first_at"),
    _moment("last_at"),
    _name("last_release"),
    Index("wk_issue_scope", "service", "environment", "last_at"),
    Index("wk_issue_last", "last_at"),
    sqlite_autoincrement=True,
)

issue_alias = Table(
    "wk_issue_alias",
    metadata,
    Column("service", String(MAX_NAME), primary_key=True),
    Column("environment", String(MAX_NAME), primary_key=True),
    Column("fingerprint", String(MAX_FINGERPRINT), primary_key=True),
    Column("issue", BigInteger, nullable=False),
    Index("wk_issue_alias_issue", "issue"),
)

issue_count = Table(
    "wk_issue_count",
    metadata,
    Column("issue", BigInteger, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("resolution", Integer, primary_key=True, autoincrement=False),
    Column("worker", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    Index("wk_issue_count_start", "start"),
)

event = Table(
    "wk_event",
    metadata,
    Column("at", Double, primary_key=True, autoincrement=False),
    Column("id", String(MAX_FINGERPRINT), primary_key=True),
    Column("issue", BigInteger, nullable=False),
    Column("fingerprint", String(MAX_FINGERPRINT), nullable=False),
    _name("method"),
    _name("route"),
    Column("status", Integer, nullable=False),
    _name("release"),
    _name("request_id"),
    Column("path", String(MAX_FINGERPRINT), nullable=False),
    Column("data", LargeBinary, nullable=False),  # zlib of JSON
    Index("wk_event_issue", "issue", "at"),
    postgresql_partition_by="RANGE (at)",
)

sample = Table(
    "wk_sample",
    metadata,
    Column("at", Double, primary_key=True, autoincrement=False),
    Column("id", String(MAX_FINGERPRINT), primary_key=True),
    _name("service"),
    _name("environment"),
    Column("reason", String(MAX_REASON), nullable=False),
    _name("method"),
    _name("route"),
    Column("status", Integer, nullable=False),
    _moment("duration_s"),
    _name("request_id"),
    Column("fingerprint", String(MAX_FINGERPRINT), nullable=False),
    _name("release"),
    Column("worker", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),  # zlib of JSON
    Index("wk_sample_id", "id"),
    Index("wk_sample_scope", "service", "environment", "at"),
    Index("wk_sample_route", "service", "environment", "route", "at"),
    Index("wk_sample_fingerprint", "fingerprint", "at"),
    Index("wk_sample_request", "request_id"),
    postgresql_partition_by="RANGE (at)",
)

statement = Table(
    "wk_statement",
    metadata,
    Column("service", String(MAX_NAME), primary_key=True),
    Column("environment", String(MAX_NAME), primary_key=True),
    Column("fingerprint", String(MAX_FINGERPRINT), primary_key=True),
    _name("db"),
    _name("operation"),
    Column("text", _Text, nullable=False),
    Column("callers", _Text, nullable=False),  # a JSON list, the latest first
    _moment("at"),
    Index("wk_statement_at", "at"),
)

check = Table(
    "wk_check",
    metadata,
    Column("service", String(MAX_NAME), primary_key=True),
    Column("environment", String(MAX_NAME), primary_key=True),
    Column("name", String(MAX_NAME), primary_key=True),
    Column("worker", BigInteger, primary_key=True, autoincrement=False),
    Column("state", String(32), nullable=False),
    _moment("since"),
    _moment("at"),
    _moment("duration_s"),
    Column("output", _Text, nullable=False),
    Column("critical", SmallInteger, nullable=False),
    Column("failures", BigInteger, nullable=False),
    Column("successes", BigInteger, nullable=False),
    Index("wk_check_at", "at"),
)

check_change = Table(
    "wk_check_change",
    metadata,
    Column("id", _Id, primary_key=True),
    _name("service"),
    _name("environment"),
    _name("name"),
    Column("worker", BigInteger, nullable=False),
    Column("before", String(32), nullable=False),
    Column("after", String(32), nullable=False),
    _moment("at"),
    Column("output", _Text, nullable=False),
    Index("wk_check_change_scope", "service", "environment", "at"),
    Index("wk_check_change_at", "at"),
    sqlite_autoincrement=True,
)

alert = Table(
    "wk_alert",
    metadata,
    Column("key_hash", String(HASH_LENGTH), primary_key=True),  # of the next four
    _name("service"),
    _name("environment"),
    Column("rule", _Text, nullable=False),
    Column("label_group", _Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("data", _Text, nullable=False),
    Column("incident", BigInteger),
    Column("version", Integer, nullable=False),
    Index("wk_alert_scope", "service", "environment"),
)

incident = Table(
    "wk_incident",
    metadata,
    Column("id", _Id, primary_key=True),
    _name("service"),
    _name("environment"),
    Column("rule", _Text, nullable=False),
    Column("label_group", _Text, nullable=False),
    Column("severity", String(32), nullable=False),
    Column("state", String(32), nullable=False),
    _moment("started_at"),
    _moment("fired_at", nullable=True),
    _moment("resolved_at", nullable=True),
    Column("value", Double),
    Column("peak", Double),
    Column("reason", _Text, nullable=False),
    Column("data", _Text, nullable=False),
    Index("wk_incident_scope", "service", "environment", "started_at"),
    Index("wk_incident_resolved", "resolved_at"),
    sqlite_autoincrement=True,
)

outbox = Table(
    "wk_outbox",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("message_id", String(64), nullable=False),
    Column("incident", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("sequence", Integer, nullable=False),
    _name("channel"),
    Column("payload", _Text, nullable=False),
    Column("status", String(32), nullable=False),
    Column("attempts", Integer, nullable=False),
    _moment("created_at"),
    _moment("next_try_at"),
    Column("claim", String(64), nullable=False),
    _moment("claim_until"),
    Column("last_error", _Text, nullable=False),
    _moment("sent_at", nullable=True),
    UniqueConstraint("incident", "kind", "sequence", "channel", name="wk_outbox_once"),
    Index("wk_outbox_due", "status", "next_try_at"),
    sqlite_autoincrement=True,
)

release = Table(
    "wk_release",
    metadata,
    Column("service", String(MAX_NAME), primary_key=True),
    Column("environment", String(MAX_NAME), primary_key=True),
    Column("release", String(MAX_NAME), primary_key=True),
    _moment("at"),
    _name("set_by"),  # empty: the first worker that ran it
    Index("wk_release_scope", "service", "environment", "at"),
    Index("wk_release_at", "at"),
)

audit = Table(
    "wk_audit",
    metadata,
    Column("id", _Id, primary_key=True),
    _name("service"),
    _name("environment"),
    _moment("at"),
    _name("actor"),
    Column("action", String(MAX_ACTION), nullable=False),
    _name("target"),
    Column("data", _Text, nullable=False),  # a JSON object
    Index("wk_audit_scope", "service", "environment", "at"),
    Index("wk_audit_at", "at"),
    sqlite_autoincrement=True,
)

token = Table(
    "wk_token",
    metadata,
    Column("digest", String(128), primary_key=True),
    Column("purpose", String(64), primary_key=True),
    _moment("expires_at"),
    Index("wk_token_expires", "expires_at"),
)

lease = Table(
    "wk_lease",
    metadata,
    Column("name", String(MAX_NAME), primary_key=True),
    _name("owner"),
    Column("token", BigInteger, nullable=False),
    _moment("until"),
)

meta = Table(
    "wk_meta",
    metadata,
    Column("name", String(MAX_NAME), primary_key=True),
    Column("value", _Text, nullable=False),
)

for _table in metadata.tables.values():
    for _name_of_mariadb in MARIADB:
        # Texts as they are, whatever the database's default: upper case is not lower case.
        _table.dialect_kwargs[f"{_name_of_mariadb}_engine"] = "InnoDB"
        _table.dialect_kwargs[f"{_name_of_mariadb}_charset"] = "utf8mb4"
        _table.dialect_kwargs[f"{_name_of_mariadb}_collate"] = "utf8mb4_bin"
        _table.dialect_kwargs[f"{_name_of_mariadb}_row_format"] = "DYNAMIC"
