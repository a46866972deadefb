"""What is known of the errors that were met: the group that each distinct trace belongs to.

A trace is described in the request, but the statements in it are read by the flusher. Until then
a provisional key groups; `Known.settle` gives the fingerprint.
"""

from collections.abc import Callable, Sequence
from types import CodeType
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
from watchkeeper.runtime.source import FailingStatements

MAX_MEMO: Final = 4_096  # distinct traces that are remembered

_SETTLING: Final = guard("grouping")


class Known:
    """A distinct trace and its group.

    `key` groups within this process, and may become another when it is settled; `codes` keeps
    alive what a memo knows by id.
    """

    __slots__ = ("_final", "_finish", "codes", "key", "type")

    def __init__(
        self,
        *,
        type: str,
        key: str,
        finish: Callable[[], Fingerprint],
        codes: tuple[CodeType | None, ...] = (),
    ) -> None:
        """Group by `key` until `finish` was called for the fingerprint."""
        self.type = type
        self.key = key
        self.codes = codes
        self._finish: Callable[[], Fingerprint] | None = finish
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
        finish = self._finish
        if self._final is None and finish is not None:
            self._final = finish()
            self.key = self._final.value
            self._finish = None  # and with it the description
        if self._final is None:  # another thread was between the two lines
            return self.settle()
        return self._final


class Knowing:
    """Makes what is known of descriptions, by one rule."""

    def __init__(self, rule: Rule, statements: FailingStatements) -> None:
        """Group by a rule; `statements` are those that were read."""
        self._rule = rule
        self._statements = statements

    def of(self, raised: Raised, *, codes: tuple[CodeType | None, ...] = ()) -> Known:
        """Return what is known of a description; reads and parses nothing."""
        value = value_of(raised, self._rule)
        return Known(
            type=raised.type,
            key=value if is_complete(raised) else f"?{value}",
            finish=lambda: self._finish(raised),
            codes=codes,
        )

    def _finish(self, raised: Raised) -> Fingerprint:
        with _SETTLING:
            raised = complete(raised, self._statements.read)
        return fingerprint(raised, self._rule)


def known_by(own: Sequence[str], computed: Known) -> Known:
    """Return what is known of an error that the user groups by texts of his own."""
    parts = [part[:MAX_PART_CHARS] for part in own[:MAX_CUSTOM_PARTS]]
    key = [computed.key if part == DEFAULT_PART else part for part in parts]
    return Known(
        type=computed.type,
        key="\0".join(["own", *key]),
        finish=lambda: customize(computed.settle(), parts),
        codes=computed.codes,
    )


class Memo:
    """What is known of the traces in recent use.

    Two generations instead of an order of use: a look-up is one lock-free `get` of a dict. What
    was not asked for while half of MAX_MEMO others came is forgotten.
    """

    __slots__ = ("_old", "_young")

    def __init__(self) -> None:
        """Begin with nothing."""
        self._young: dict[tuple[object, ...], Known] = {}
        self._old: dict[tuple[object, ...], Known] = {}

    def get(self, key: tuple[object, ...]) -> Known | None:
        """Return what is remembered of a trace."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: tuple[object, ...], known: Known) -> None:
        """Remember a trace; two threads may do so at once, at worst one entry is lost."""
        if len(self._young) >= MAX_MEMO // 2:
            self._old, self._young = self._young, {}
        self._young[key] = known
