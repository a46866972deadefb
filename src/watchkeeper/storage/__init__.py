"""Where metrics, issues and alerts are kept: `open_store` and the protocols behind it."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from watchkeeper.storage.store import (
    AdminStore,
    AlertStore,
    AuditStore,
    CheckStore,
    EventStore,
    FrameStore,
    IssueStore,
    ReleaseStore,
    SampleStore,
    Store,
    TriageStore,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = [
    "AdminStore",
    "AlertStore",
    "AuditStore",
    "CheckStore",
    "EventStore",
    "FrameStore",
    "IssueStore",
    "ReleaseStore",
    "SampleStore",
    "Store",
    "TriageStore",
    "open_store",
]

STATEMENT_TIMEOUT_S: Final = 10.0  # a page or a flush that takes longer has failed
TABLE_PREFIX: Final = "wk_"


def open_store(
    url: "str | Engine",
    *,
    statement_timeout_s: float = STATEMENT_TIMEOUT_S,
    prefix: str = TABLE_PREFIX,
    schema: str = "",
) -> Store:
    """Make the store that a URL names; nothing is connected or written yet.

    "sqlite:///path", a bare path, "postgresql://…", "mariadb://…" or "memory://" (gone with the
    process); an Engine of SQLAlchemy's is connected as it connects, with a pool of our own. Names
    of tables begin with `prefix`; `schema` is PostgreSQL's.
    Raises ConfigurationError that names `database_url` and the cure. The first call imports
    SQLAlchemy, which takes some 100 ms: call it where nobody waits.
    """
    if url == "memory://":
        from watchkeeper.storage.memory import MemoryStore

        return MemoryStore()
    from watchkeeper.storage.fork_gate import IMPORT_PATIENCE_S, fork_gate

    with fork_gate.passing(patience_s=IMPORT_PATIENCE_S):
        _import_beside_gevent("watchkeeper.storage.sql")
        from watchkeeper.storage.sql import open_sql

        return open_sql(url, statement_timeout_s=statement_timeout_s, prefix=prefix, schema=schema)


def _import_beside_gevent(module: str) -> None:
    """Import in a true thread where gevent has replaced threads: it would block its loop."""
    monkey = sys.modules.get("gevent.monkey")
    if module not in sys.modules and monkey and monkey.is_module_patched("threading"):
        sys.modules["gevent"].get_hub().threadpool.apply(import_module, (module,))
