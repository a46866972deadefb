"""What is known of the errors that were met: the group that each distinct trace belongs to.

A trace is described in the request, but the statements in it are read by the flusher. Until then
a provisional key groups; `Known.settle` gives the fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from watchkeeper.core.fingerprint import (
    DEFAULT_PART,
    MAX_CUSTOM_PARTS,
    MAX_PART_CHARS,
    Fingerprint,
    Rule,
    customize,
    fingerprint,
    value_of,
)
from watchkeeper.core.raised import Raised, complete, is_complete
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.inlet import Inlet
from watchkeeper.runtime.source import FailingStatements

_SETTLING: Final = guard("grouping")


class Known:
    """A distinct trace and its group.

    `key` groups within this process, and may become another when it is settled; `kept` keeps
    alive what a memo knows by id. `culprit` is the place to show, where that is not the
    fingerprint's.
    """

    __slots__ = ("_final", "_finish", "culprit", "inlet", "kept", "key", "type")

    def __init__(
        self,
        *,
        type: str,
        key: str,
        finish: Callable[[], Fingerprint],
        kept: tuple[object, ...] = (),
        culprit: str = "",
    ) -> None:
        """Group by `key` until `finish` was called for the fingerprint."""
        self.type = type
        self.culprit = culprit
        self.key = key
        self.kept = kept
        self.inlet: Inlet[Known] | None = None  # the quick way into its group, once that is open
        self._finish = finish
        self._final: Fingerprint | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the final fingerprint is at hand."""
        return self._final is not None

    @property
    def fingerprint(self) -> str:
        """The final fingerprint; reads source files at the first time: not for a request."""
        return self.settle().value

    def settle(self) -> Fingerprint:
        """Return the final fingerprint with its reasons; reads source files at the first time."""
        final = self._final
        if final is None:
            final = self._final = self._finish()
            self.key = final.value
            self._finish = lambda: final  # and not the description any more
        return final


class Knowing:
    """Makes what is known of descriptions, by one rule."""

    def __init__(self, rule: Rule, statements: FailingStatements) -> None:
        """Group by a rule; `statements` are those that were read."""
        self._rule = rule
        self._statements = statements

    def of(self, raised: Raised, *, kept: tuple[object, ...] = (), culprit: str = "") -> Known:
        """Return what is known of a description; reads and parses nothing."""
        value = value_of(raised, self._rule)
        return Known(
            type=raised.type,
            key=value if is_complete(raised) else f"?{value}",
            finish=lambda: self._finish(raised),
            kept=kept,
            culprit=culprit,
        )

    def _finish(self, raised: Raised) -> Fingerprint:
        with _SETTLING:
            raised = complete(raised, self._statements.read)
        return fingerprint(raised, self._rule)


def parts_of(own: Sequence[str]) -> tuple[str, ...]:
    """Return what counts of the user's own fingerprint."""
    return tuple(part[:MAX_PART_CHARS] for part in own[:MAX_CUSTOM_PARTS])


def known_by(parts: Sequence[str], computed: Known) -> Known:
    """Return what is known of an error that the user groups by parts of his own."""
    key = [computed.key if part == DEFAULT_PART else part for part in parts]
    return Known(
        type=computed.type,
        key="\0".join(["own", *key]),
        finish=lambda: customize(computed.settle(), list(parts)),
        kept=computed.kept,
        culprit=computed.culprit,
    )
