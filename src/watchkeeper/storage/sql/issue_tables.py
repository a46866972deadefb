"""The tables of issues, as SQLAlchemy knows them; the others are in `schema`."""

from typing import Final

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, String, Table, text

from watchkeeper.storage.rows import MAX_FINGERPRINT, MAX_NAME
from watchkeeper.storage.sql.columns import Id, LongText, metadata, moment, name

MAX_KIND: Final = 32  # of a facet, or why an issue's state changed

issue = Table(
    "wk_issue",
    metadata,
    Column("id", Id, primary_key=True),
    name("service"),
    name("environment"),
    name("release"),
    Column("fingerprint", String(MAX_FINGERPRINT), nullable=False),
    name("type"),
    Column("title", LongText, nullable=False),
    name("culprit"),
    name("level"),
    Column("state", String(32), nullable=False),
    Column("count", BigInteger, nullable=False),
    moment("first_at"),
    moment("last_at"),
    name("last_release"),
    # Since schema 5, with defaults: a process of before goes on adding issues.
    Column("state_at", Double, nullable=False, server_default=text("0")),
    Column("state_by", String(MAX_NAME), nullable=False, server_default=""),
    Column("state_data", LongText, nullable=False, server_default="{}"),  # a JSON object
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    Column("users", BigInteger, nullable=False, server_default=text("0")),
    Index("wk_issue_scope", "service", "environment", "last_at"),
    Index("wk_issue_last", "last_at"),
    Index("wk_issue_state", "service", "environment", "state", "last_at"),
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
    Index("wk_issue_alias_name", "fingerprint"),
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
    Index("wk_issue_count_resolution", "resolution", "start"),
)

issue_facet = Table(
    "wk_issue_facet",
    metadata,
    Column("issue", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(MAX_KIND), primary_key=True),  # path | release | route | user
    Column("value", String(MAX_NAME), primary_key=True),
    Column("count", BigInteger, nullable=False),
    moment("first_at"),
    moment("last_at"),
    Index("wk_issue_facet_value", "kind", "value"),
)

issue_entry = Table(
    "wk_issue_entry",
    metadata,
    Column("id", Id, primary_key=True),
    Column("issue", BigInteger, nullable=False),
    moment("at"),
    name("actor"),
    Column("state_before", String(32), nullable=False),
    Column("state_after", String(32), nullable=False),
    Column("reason", String(MAX_KIND), nullable=False),  # empty: a comment
    Column("comment", LongText, nullable=False),
    Column("data", LongText, nullable=False),  # a JSON object
    Index("wk_issue_entry_issue", "issue", "at"),
    Index("wk_issue_entry_at", "at"),
    sqlite_autoincrement=True,
)

event = Table(
    "wk_event",
    metadata,
    Column("at", Double, primary_key=True, autoincrement=False),
    Column("id", String(MAX_FINGERPRINT), primary_key=True),
    Column("issue", BigInteger, nullable=False),
    Column("fingerprint", String(MAX_FINGERPRINT), nullable=False),
    name("method"),
    name("route"),
    Column("status", Integer, nullable=False),
    name("release"),
    name("request_id"),
    Column("path", String(MAX_FINGERPRINT), nullable=False),
    Column("data", LargeBinary, nullable=False),  # zlib of JSON
    Index("wk_event_issue", "issue", "at"),
    Index("wk_event_id", "id"),
    Index("wk_event_request", "request_id"),
    postgresql_partition_by="RANGE (at)",
)
