"""The tables, as SQLAlchemy knows them; all names begin with `wk_`.

Times are seconds since the epoch (UTC): whole ones for slots, floats for moments. Text is cut in
code before it comes here, so the lengths are the maxima of `storage.rows`.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    text,
)

from watchkeeper.storage.rows import (
    DIGEST_LENGTH,
    MAX_ACTION,
    MAX_FINGERPRINT,
    MAX_NAME,
    MAX_REASON,
)
from watchkeeper.storage.sql.alert_tables import alert, incident, outbox, rule, silence
from watchkeeper.storage.sql.columns import (
    MARIADB,
    Id,
    LongText,
    is_mariadb,
    metadata,
    moment,
    name,
)
from watchkeeper.storage.sql.issue_tables import (
    event,
    issue,
    issue_alias,
    issue_count,
    issue_entry,
    issue_facet,
)

__all__ = [
    "DAY_S",
    "MARIADB",
    "alert",
    "audit",
    "check",
    "check_change",
    "chunk",
    "event",
    "frame",
    "hour",
    "incident",
    "issue",
    "issue_alias",
    "issue_count",
    "issue_entry",
    "issue_facet",
    "lease",
    "meta",
    "metadata",
    "outbox",
    "release",
    "rule",
    "sample",
    "series",
    "silence",
    "statement",
    "token",
    "worker",
]

DAY_S: Final = 86_400

series = Table(
    "wk_series",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key_hash", String(DIGEST_LENGTH), nullable=False, unique=True),
    name("metric"),
    Column("kind", String(32), nullable=False),
    Column("across", String(32), nullable=False),
    Column("labels", LongText, nullable=False),  # canonical JSON, the scope labels among them
    Column("first_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),  # moved on by who writes, each half a day
    Index("wk_series_metric", "metric", "seen_at"),
    Index("wk_series_seen", "seen_at"),
    sqlite_autoincrement=True,
)

worker = Table(
    "wk_worker",
    metadata,
    Column("id", Id, primary_key=True),
    name("service"),
    name("environment"),
    name("release"),
    name("host"),
    Column("number", Integer, nullable=False),
    Column("pid", BigInteger, nullable=False),
    moment("started_at"),
    moment("seen_at"),
    moment("stopped_at", nullable=True),
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
).ddl_if(callable_=lambda *_, dialect, **__: not is_mariadb(dialect))
# MariaDB has no index of some rows only; its own ends with the rest of the key anyway.
Index("wk_frame_rolled", frame.c.rolled, frame.c.resolution, frame.c.start).ddl_if(
    callable_=lambda *_, dialect, **__: is_mariadb(dialect)
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

sample = Table(
    "wk_sample",
    metadata,
    Column("at", Double, primary_key=True, autoincrement=False),
    Column("id", String(MAX_FINGERPRINT), primary_key=True),
    name("service"),
    name("environment"),
    Column("reason", String(MAX_REASON), nullable=False),
    name("method"),
    name("route"),
    Column("status", Integer, nullable=False),
    moment("duration_s"),
    name("request_id"),
    Column("fingerprint", String(MAX_FINGERPRINT), nullable=False),
    name("release"),
    Column("worker", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),  # zlib of JSON
    # Since schema 5, with a default: a process of before goes on adding samples.
    Column("path", String(MAX_FINGERPRINT), nullable=False, server_default=""),
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
    name("db"),
    name("operation"),
    Column("text", LongText, nullable=False),
    Column("callers", LongText, nullable=False),  # a JSON list, the latest first
    moment("at"),
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
    moment("since"),
    moment("at"),
    moment("duration_s"),
    Column("output", LongText, nullable=False),
    Column("critical", SmallInteger, nullable=False),
    Column("failures", BigInteger, nullable=False),
    Column("successes", BigInteger, nullable=False),
    # Since schema 7, with a default: a process of before goes on telling results.
    Column("data", LongText, nullable=False, server_default="{}"),  # JSON
    Index("wk_check_at", "at"),
)

check_change = Table(
    "wk_check_change",
    metadata,
    Column("id", Id, primary_key=True),
    name("service"),
    name("environment"),
    name("name"),
    Column("worker", BigInteger, nullable=False),
    Column("before", String(32), nullable=False),
    Column("after", String(32), nullable=False),
    moment("at"),
    Column("output", LongText, nullable=False),
    Column("critical", SmallInteger, nullable=False, server_default=text("1")),
    Index("wk_check_change_scope", "service", "environment", "at"),
    Index("wk_check_change_at", "at"),
    sqlite_autoincrement=True,
)

release = Table(
    "wk_release",
    metadata,
    Column("service", String(MAX_NAME), primary_key=True),
    Column("environment", String(MAX_NAME), primary_key=True),
    Column("release", String(MAX_NAME), primary_key=True),
    moment("at"),
    name("set_by"),  # empty: the first worker that ran it
    Index("wk_release_scope", "service", "environment", "at"),
    Index("wk_release_at", "at"),
)

audit = Table(
    "wk_audit",
    metadata,
    Column("id", Id, primary_key=True),
    name("service"),
    name("environment"),
    moment("at"),
    name("actor"),
    Column("action", String(MAX_ACTION), nullable=False),
    name("target"),
    Column("data", LongText, nullable=False),  # a JSON object
    Index("wk_audit_scope", "service", "environment", "at"),
    Index("wk_audit_at", "at"),
    sqlite_autoincrement=True,
)

token = Table(
    "wk_token",
    metadata,
    Column("digest", String(128), primary_key=True),
    Column("purpose", String(64), primary_key=True),
    moment("expires_at"),
    Index("wk_token_expires", "expires_at"),
)

lease = Table(
    "wk_lease",
    metadata,
    Column("name", String(MAX_NAME), primary_key=True),
    name("owner"),
    Column("token", BigInteger, nullable=False),
    moment("until"),
)

meta = Table(
    "wk_meta",
    metadata,
    Column("name", String(MAX_NAME), primary_key=True),
    Column("value", LongText, nullable=False),
)

for _table in metadata.tables.values():
    for _name_of_mariadb in MARIADB:
        # Texts as they are, whatever the database's default: upper case is not lower case.
        _table.dialect_kwargs[f"{_name_of_mariadb}_engine"] = "InnoDB"
        _table.dialect_kwargs[f"{_name_of_mariadb}_charset"] = "utf8mb4"
        _table.dialect_kwargs[f"{_name_of_mariadb}_collate"] = "utf8mb4_bin"
        _table.dialect_kwargs[f"{_name_of_mariadb}_row_format"] = "DYNAMIC"
