"""The names that people give to issues: numbers, and the beginnings of fingerprints."""

from typing import Final

from watchkeeper.core.fingerprint import VERSION
from watchkeeper.core.metrics import Scope
from watchkeeper.exceptions import TriageError
from watchkeeper.storage.issue_rows import is_merged_name, is_whole
from watchkeeper.storage.store import Issue, Store

MAX_ID_DIGITS: Final = 18
MIN_BEGIN_CHARS: Final = 4  # of a fingerprint: fewer are a slip rather than a name
MAX_LOOKED: Final = 1_000  # names that begin so: more than a person may tell apart
MAX_LISTED: Final = 5


def find_issue(store: Store, scope: Scope, text: str) -> Issue:
    """Find the issue that a person means: by its number, or by how its fingerprint begins.

    A number goes first. Raises TriageError if there is none, or more than one.
    """
    wanted = text.strip().removeprefix("#")
    if wanted.isascii() and wanted.isdigit() and len(wanted) <= MAX_ID_DIGITS:
        issue = store.issue(int(wanted))
        if issue is not None and issue.scope.place == scope.place:
            return issue
    place = {"service": scope.service, "environment": scope.environment}
    for exact in store.issue_ids([wanted], **place).values():
        known = store.issue(exact)
        if known is not None:
            return known
    found = _beginning(store, scope, wanted) if len(wanted) >= MIN_BEGIN_CHARS else {}
    if len(found) == 1:
        (number,) = found
        issue = store.issue(number)
        if issue is not None:
            return issue
    where = f"{scope.service} ({scope.environment})"
    if not found:
        raise TriageError(
            f"there is no issue {text!r} of {where}: give its number, or at least "
            f"{MIN_BEGIN_CHARS} digits of its fingerprint; watchkeeper errors list shows them"
        )
    shown = list(found.items())[:MAX_LISTED]
    listed = ", ".join(f"{number} ({name})" for number, name in shown)
    more = ", …" if len(found) > MAX_LISTED else ""
    raise TriageError(f"{text!r} begins the fingerprints of several issues: {listed}{more}")


def _beginning(store: Store, scope: Scope, begin: str) -> dict[int, str]:
    """Find issues by how one of their names begins: their numbers, each with a name that does.

    A fingerprint goes before one with a call path that was split off.
    """
    versions = (f"{number}:{begin}" for number in range(1, VERSION + 1))
    names = store.issue_names(
        [begin, *versions],
        service=scope.service,
        environment=scope.environment,
        limit=MAX_LOOKED,
    )
    found = {name: number for name, number in names.items() if not is_merged_name(name)}
    wholes = {name: number for name, number in found.items() if is_whole(name)}
    issues: dict[int, str] = {}
    for name, number in (wholes or found).items():
        issues.setdefault(number, name)
    return issues


def begins(fingerprint: str, begin: str) -> bool:
    """Tell whether a fingerprint begins so, with or without its version."""
    return fingerprint.startswith(begin) or fingerprint.partition(":")[2].startswith(begin)
