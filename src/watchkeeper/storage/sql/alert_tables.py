"""The tables of alerts, as SQLAlchemy knows them: states, incidents, messages, silences, rules."""

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    text,
)

from watchkeeper.storage.rows import DIGEST_LENGTH, MAX_FINGERPRINT, MAX_NAME
from watchkeeper.storage.sql.columns import Id, LongText, metadata, moment, name

alert = Table(
    "wk_alert",
    metadata,
    Column("key_hash", String(DIGEST_LENGTH), primary_key=True),  # of the next four
    name("service"),
    name("environment"),
    Column("rule", LongText, nullable=False),
    Column("label_group", LongText, nullable=False),
    Column("state", String(32), nullable=False),
    Column("data", LongText, nullable=False),
    Column("incident", BigInteger),
    Column("version", Integer, nullable=False),
    Index("wk_alert_scope", "service", "environment"),
)

incident = Table(
    "wk_incident",
    metadata,
    Column("id", Id, primary_key=True),
    name("service"),
    name("environment"),
    Column("rule", LongText, nullable=False),
    Column("label_group", LongText, nullable=False),
    Column("severity", String(32), nullable=False),
    Column("state", String(32), nullable=False),
    moment("started_at"),
    moment("fired_at", nullable=True),
    moment("resolved_at", nullable=True),
    Column("value", Double),
    Column("peak", Double),
    Column("reason", LongText, nullable=False),
    Column("data", LongText, nullable=False),
    # Since schema 6, with defaults: a process of before goes on adding incidents.
    moment("acked_at", nullable=True),
    Column("acked_by", String(MAX_NAME), nullable=False, server_default=""),
    Column("ack_note", LongText, nullable=False, server_default=""),
    Index("wk_incident_scope", "service", "environment", "started_at"),
    Index("wk_incident_resolved", "resolved_at"),
    sqlite_autoincrement=True,
)

outbox = Table(
    "wk_outbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("message_id", String(64), nullable=False),
    Column("incident", BigInteger, nullable=False),  # below 0: of none (`rows.owner_of`)
    Column("kind", String(32), nullable=False),
    Column("sequence", Integer, nullable=False),
    name("channel"),
    Column("payload", LongText, nullable=False),
    Column("status", String(32), nullable=False),
    Column("attempts", Integer, nullable=False),
    moment("created_at"),
    moment("next_try_at"),
    Column("claim", String(64), nullable=False),
    moment("claim_until"),
    Column("last_error", LongText, nullable=False),
    moment("sent_at", nullable=True),
    # Since schema 6, with defaults: a process of before goes on adding messages.
    Column("service", String(MAX_NAME), nullable=False, server_default=""),
    Column("environment", String(MAX_NAME), nullable=False, server_default=""),
    Column("priority", SmallInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("incident", "kind", "sequence", "channel", name="wk_outbox_once"),
    Index("wk_outbox_due", "status", "next_try_at"),
    Index("wk_outbox_channel", "service", "environment", "channel", "created_at"),
    sqlite_autoincrement=True,
)

silence = Table(
    "wk_silence",
    metadata,
    Column("id", Id, primary_key=True),
    name("service"),
    name("environment"),
    Column("matchers", LongText, nullable=False),  # a JSON object
    moment("starts_at"),
    moment("ends_at", nullable=True),
    Column("schedule", LongText, nullable=False),
    name("author"),
    Column("comment", LongText, nullable=False),
    moment("created_at"),
    moment("ended_at", nullable=True),
    Index("wk_silence_scope", "service", "environment"),
    sqlite_autoincrement=True,
)

rule = Table(
    "wk_rule",
    metadata,
    Column("service", String(MAX_NAME), primary_key=True),
    Column("environment", String(MAX_NAME), primary_key=True),
    Column("name", String(MAX_NAME), primary_key=True),
    Column("json", LongText, nullable=False),
    Column("hash", String(MAX_FINGERPRINT), nullable=False),
    Column("enabled", SmallInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    moment("updated_at"),
    name("updated_by"),
)
