"""The statements of this process: each has one operation, one fingerprint and its callers."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Final

from watchkeeper.core.catalogue import DB_FAILED, DB_OPERATION, DB_ROWS, DB_STATEMENT
from watchkeeper.core.metrics import OTHER
from watchkeeper.runtime.callers import Callers
from watchkeeper.runtime.operations import Operation, OperationKind
from watchkeeper.runtime.recorder import Recorder

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.storage.store import Statement

MAX_TEXTS: Final = 2_000  # texts as executed that are known without normalising them again
MAX_TEXT_CHARS: Final = 8_000  # longer ones are normalised each time
MAX_STATEMENTS: Final = 500  # per worker; further ones count as "(other)"
MAX_CALLERS: Final = 5
REFRESH_S: Final = 3_600.0  # one in use is told again: texts that nobody tells of are deleted


class _Known:
    """What is told of one statement: its text and where it was seen."""

    __slots__ = ("callers", "db", "is_new", "operation", "text", "told_at", "told_count")

    def __init__(self, db: str, operation: str, text: str) -> None:
        self.db = db
        self.operation = operation
        self.text = text
        self.callers: list[str] = []
        self.is_new = True  # to be told at the next flush
        self.told_at = 0.0
        self.told_count = 0  # executions by then


class Statements:
    """Finds the operation of a statement; safe in any thread.

    `texts` holds those that are known by database and text as executed, for who is in a hurry.
    """

    def __init__(self, recorder: Recorder, callers: Callers, clock: Callable[[], float]) -> None:
        """Record durations with a recorder."""
        self._recorder = recorder
        self._callers = callers
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Forget a lock that another thread may hold: for the child of a fork."""
        self._lock = Lock()
        self.texts: dict[tuple[str, str], Operation] = {}
        self._operations: dict[tuple[str, str], Operation] = {}
        self._known: dict[str, _Known] = {}

    def find(self, db: str, sql: str) -> Operation:
        """Return the operation of a statement as it was given to the driver of `db`."""
        operation = self.texts.get((db, sql))
        if operation is not None:
            return operation
        from watchkeeper.core import statements  # at the first one: not every host has any

        text = statements.normalise(sql, db=db)
        with self._lock:
            operation = self._found(
                db, text, name=statements.fingerprint(text), verb=statements.operation(text, db=db)
            )
            if len(sql) <= MAX_TEXT_CHARS:
                if len(self.texts) >= MAX_TEXTS:
                    self.texts.clear()
                self.texts[db, sql] = operation
        return operation

    def look_for_caller(self, operation: Operation) -> None:
        """Note from where a statement is executed at this moment."""
        known = self._known.get(operation.statement)
        if known is None:
            return
        caller = self._callers.find()
        if caller and caller not in known.callers:
            with self._lock:
                known.callers = [caller, *known.callers][:MAX_CALLERS]
                known.is_new = True

    def take(self) -> list[Statement]:
        """Return the statements that are new or have a new caller since the last call.

        Those in use are among them once an hour.
        """
        from watchkeeper.storage.store import Statement

        now = self._clock()
        with self._lock:
            news = [
                (name, one)
                for name, one in self._known.items()
                if one.is_new or self._is_due(name, one, now)
            ]
            for name, one in news:
                one.is_new = False
                one.told_at = now
                one.told_count = self._operations[one.db, name].count
            return [
                Statement(
                    fingerprint=name,
                    db=one.db,
                    operation=one.operation,
                    text=one.text,
                    callers=tuple(one.callers),
                    at=now,
                )
                for name, one in news
            ]

    def _is_due(self, name: str, one: _Known, now: float) -> bool:
        """Tell whether a statement was executed since it was told, an hour or more ago."""
        if now - one.told_at < REFRESH_S:
            return False
        return self._operations[one.db, name].count > one.told_count

    def _found(self, db: str, text: str, *, name: str, verb: str) -> Operation:
        """Find or make the operation of a normalised text; the lock is held."""
        key = (db, name)
        if key not in self._operations and len(self._operations) >= MAX_STATEMENTS:
            self._recorder.drop("statements")
            name = text = OTHER
            key = (db, f"{OTHER} {verb}")
        operation = self._operations.get(key)
        if operation is not None:
            return operation
        if name != OTHER:
            self._known[name] = _Known(db, verb, text)
        series = self._recorder.series
        labels = {"db": db, "statement": name, "operation": verb}
        operation = self._operations[key] = Operation(
            OperationKind.DB,
            text,
            series=(series(DB_OPERATION, labels), series(DB_STATEMENT, labels)),
            statement=name,
            rows=series(DB_ROWS, labels),
            failures=series(DB_FAILED, labels),
        )
        return operation
