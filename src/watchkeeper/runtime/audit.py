"""The audit: what people did, written down, and never at the cost of what they did."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from watchkeeper.core.metrics import Scope
from watchkeeper.exceptions import StorageError
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.guard import guard

if TYPE_CHECKING:  # a host that only records does not wait for it
    from watchkeeper.storage.store import Audit, AuditStore

_AUDIT: Final = guard("audit")
_log = logging.getLogger("watchkeeper")


class Action(StrEnum):
    """What is written down: all that a page, the API or the command line writes for somebody."""

    LINK_MAKE = "link.make"
    SESSION_BEGIN = "session.begin"
    SESSION_END = "session.end"
    RELEASE_MARK = "release.mark"
    SCHEMA_MIGRATE = "schema.migrate"
    PAST_PRUNE = "past.prune"
    USER_ERASE = "user.erase"
    RULE_SET = "rule.set"
    RULE_RESET = "rule.reset"
    RULE_ENABLE = "rule.enable"
    RULE_DISABLE = "rule.disable"
    ISSUE_RESOLVE = "issue.resolve"
    ISSUE_MUTE = "issue.mute"
    ISSUE_IGNORE = "issue.ignore"
    ISSUE_REOPEN = "issue.reopen"
    ISSUE_COMMENT = "issue.comment"
    ISSUE_MERGE = "issue.merge"
    ISSUE_SPLIT = "issue.split"
    ISSUE_DELETE = "issue.delete"
    INCIDENT_ACKNOWLEDGE = "incident.acknowledge"
    SILENCE_ADD = "silence.add"
    SILENCE_END = "silence.end"
    PING_ADD = "ping.add"
    PING_REMOVE = "ping.remove"
    JOB_FORGET = "job.forget"


def entry(
    scope: Scope,
    action: Action,
    *,
    actor: str,
    at: float,
    target: str = "",
    data: Mapping[str, Any] | None = None,
) -> Audit:
    """Return the entry for what `actor` did, scrubbed; `data` holds JSON values and no secret."""
    from watchkeeper.storage.store import Audit

    return Audit(
        service=scope.service,
        environment=scope.environment,
        at=at,
        actor=scrubbing.name(actor),
        action=action,
        target=scrubbing.name(target),
        data=scrubbing.mapping(data or {}),
    )


def write_down(
    store: AuditStore,
    scope: Scope,
    action: Action,
    *,
    actor: str,
    at: float,
    target: str = "",
    data: Mapping[str, Any] | None = None,
) -> None:
    """Write down that `actor` did something; `data` holds JSON values and no secret.

    Never raises: where it cannot be written, that is logged, and what was asked for is done all
    the same.
    """
    written = entry(scope, action, actor=actor, at=at, target=target, data=data)
    with _AUDIT:
        try:
            store.audit(written)
        except StorageError as error:
            _log.warning("watchkeeper: not in the audit: %s by %s (%s)", action, actor, error)
