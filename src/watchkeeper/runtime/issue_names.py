"""The names that people give to issues: numbers, and the beginnings of fingerprints."""

from typing import Final

from watchkeeper.core.metrics import Scope
from watchkeeper.exceptions import TriageError
from watchkeeper.storage.issues import Search
from watchkeeper.storage.store import Issue, Store

MAX_ID_DIGITS: Final = 18
MIN_BEGIN_CHARS: Final = 4  # of a fingerprint: fewer are a slip rather than a name
MAX_LOOKED: Final = 10_000  # issues whose fingerprints are looked at for a beginning
LOOKED_AT_ONCE: Final = 500
MAX_LISTED: Final = 5


def find_issue(store: Store, scope: Scope, text: str) -> Issue:
    """Find the issue that a person means: by its number, or by how its fingerprint begins.

    A number goes first. Raises TriageError if there is none, or more than one.
    """
    wanted = text.strip().removeprefix("#")
    if wanted.isascii() and wanted.isdigit() and len(wanted) <= MAX_ID_DIGITS:
        issue = store.issue(int(wanted))
        if issue is not None and is_of(issue.scope, scope):
            return issue
    place = {"service": scope.service, "environment": scope.environment}
    for exact in store.issue_ids([wanted], **place).values():
        known = store.issue(exact)
        if known is not None:
            return known
    found = _beginning(store, scope, wanted) if len(wanted) >= MIN_BEGIN_CHARS else []
    if len(found) == 1:
        return found[0]
    where = f"{scope.service} ({scope.environment})"
    if not found:
        raise TriageError(
            f"there is no issue {text!r} of {where}: give its number, or at least "
            f"{MIN_BEGIN_CHARS} digits of its fingerprint; watchkeeper errors list shows them"
        )
    listed = ", ".join(f"{one.id} ({one.fingerprint})" for one in found[:MAX_LISTED])
    more = ", …" if len(found) > MAX_LISTED else ""
    raise TriageError(f"{text!r} begins the fingerprints of several issues: {listed}{more}")


def _beginning(store: Store, scope: Scope, begin: str) -> list[Issue]:
    """Look through the issues, as many as a person may tell apart, for fingerprints."""
    found: list[Issue] = []
    for offset in range(0, MAX_LOOKED, LOOKED_AT_ONCE):
        some = store.find_issues(
            Search(
                service=scope.service,
                environment=scope.environment,
                limit=LOOKED_AT_ONCE,
                offset=offset,
            )
        )
        found += [one for one in some if begins(one.fingerprint, begin)]
        if len(some) < LOOKED_AT_ONCE or len(found) > MAX_LISTED:
            break
    return found


def begins(fingerprint: str, begin: str) -> bool:
    """Tell whether a fingerprint begins so, with or without its version."""
    return fingerprint.startswith(begin) or fingerprint.partition(":")[2].startswith(begin)


def is_of(scope: Scope, wanted: Scope) -> bool:
    """Tell whether a scope is the wanted one, whatever the release."""
    return (scope.service, scope.environment) == (wanted.service, wanted.environment)
