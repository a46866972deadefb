"""What instruments tell an observer, read back in short words."""

from collections.abc import Iterator
from contextlib import contextmanager

from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Scope, Series
from watchkeeper.core.rollup import merge_time
from watchkeeper.core.slot import Gauge, Value
from watchkeeper.runtime.guard import take_errors
from watchkeeper.runtime.observer import Observer
from watchkeeper.runtime.record import Record, current
from watchkeeper.runtime.recorder import Recorder

HTTP_CLIENT = "http_client_request_duration_seconds"
DB_OPERATION = "db_client_operation_duration_seconds"
DB_FAILED = "db_client_failed_operations_total"
DB_STATEMENT = "db_client_statement_duration_seconds"
DB_ROWS = "db_client_statement_rows_total"
DB_CONNECTIONS = "db_client_connection_count"
DB_CONNECTIONS_MAX = "db_client_connection_max"
DB_WAIT = "db_client_connection_wait_time_seconds"
JOB_DURATION = "job_duration_seconds"
JOB_WAIT = "job_wait_seconds"


class Observed:
    """An observer with a recorder of its own, and what it has recorded so far."""

    def __init__(self) -> None:
        self.recorder = Recorder(Scope(service="shop", environment="test"))
        self.observer = Observer(self.recorder)
        self.observer.capture = self._capture
        self.errors: list[BaseException] = []
        self.contexts: list[object] = []
        self._values: dict[Series, Value] = {}
        self._texts: dict[str, str] = {}
        self._callers: dict[str, tuple[str, ...]] = {}

    def calls(self) -> dict[str, int]:
        """Count outgoing requests: {"GET api.example.com 200": 3}."""
        return self._counts(HTTP_CLIENT, "method", "host", "status")

    def commands(self) -> dict[str, int]:
        """Count commands to databases and caches: {"redis GET": 3}."""
        return self._counts(DB_OPERATION, "db", "operation")

    def failed_commands(self) -> dict[str, int]:
        """Count those that raised."""
        return self._counts(DB_FAILED, "db", "operation")

    def statements(self) -> dict[str, int]:
        """Count executions of statements: {"SELECT a FROM t WHERE b = ?": 3}."""
        return self._by_text(DB_STATEMENT)

    def rows(self) -> dict[str, int]:
        """Sum the rows of statements where they are known."""
        return self._by_text(DB_ROWS)

    def callers(self, text: str) -> tuple[str, ...]:
        """Tell from where a statement is executed, without the lines: the latest first."""
        self._learn()
        return tuple(caller.rpartition(":")[0] for caller in self._callers[text])

    def pools(self) -> dict[str, int]:
        """Read the pools: {"shop used": 1, "shop idle": 2, "shop most": 5}."""
        self.observer.pools.sample()
        self._take()
        return {
            f"{series.label('pool')} {series.label('state') or 'most'}": int(value.last)
            for series, value in self._values.items()
            if series.metric in (DB_CONNECTIONS, DB_CONNECTIONS_MAX) and isinstance(value, Gauge)
        }

    def pool_waits(self) -> dict[str, int]:
        """Count how often a connection was got from each pool."""
        return self._counts(DB_WAIT, "pool")

    def runs(self) -> dict[str, int]:
        """Count runs of jobs: {"report ok": 3}."""
        return self._counts(JOB_DURATION, "job", "outcome")

    def waits(self) -> dict[str, int]:
        """Count runs whose time in the queue is known."""
        return self._counts(JOB_WAIT, "job")

    def counts(self, metric: str, *labels: str) -> dict[str, int]:
        """Count what was recorded of any metric, by these labels."""
        return self._counts(metric, *labels)

    def seconds(self, metric: str) -> float:
        """Sum what a histogram observed."""
        self._take()
        return sum(
            value.sum
            for series, value in self._values.items()
            if series.metric == metric and isinstance(value, Histogram)
        )

    def _counts(self, metric: str, *labels: str) -> dict[str, int]:
        self._take()
        found: dict[str, int] = {}
        for series, value in self._values.items():
            if series.metric == metric:
                key = " ".join(series.label(label) for label in labels)
                count = value.count if isinstance(value, Histogram) else int(value)
                found[key] = found.get(key, 0) + count
        return found

    def _by_text(self, metric: str) -> dict[str, int]:
        self._learn()
        counts = self._counts(metric, "statement")
        return {self._texts[statement]: count for statement, count in counts.items()}

    def _learn(self) -> None:
        for statement in self.observer.statements.take():
            self._texts[statement.fingerprint] = statement.text
            self._callers[statement.text] = statement.callers

    def _take(self) -> None:
        self._values = merge_time([self._values, self.recorder.take()])

    def _capture(self, exc: BaseException, *, endpoint=None, context=None) -> str:
        self.errors.append(exc)
        self.contexts.append(context)
        return "1:00000000000000aa"


@contextmanager
def within_request() -> Iterator[Record]:
    """Run the block as if within a request; what happened inside is in the record."""
    record = Record.beginning(0.0)
    token = current.set(record)
    try:
        yield record
    finally:
        current.reset(token)


def inside(record: Record) -> list[str]:
    """Name what happened inside a request, oldest first: ["http GET api.example.com"]."""
    spans = record.inside.spans if record.inside is not None else []
    return [f"{operation.kind} {operation.name}" for operation, _, _ in spans]


def no_internal_errors() -> None:
    """Assert that no exception of our own was swallowed since the last call."""
    assert {} == take_errors()
