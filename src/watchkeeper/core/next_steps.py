"""What to do first when a rule fires: one line or two by the kind of rule."""

from typing import Final

from watchkeeper.core.catalogue import HTTP_DURATION
from watchkeeper.core.conditions import (
    And,
    CheckFailing,
    Comparison,
    Condition,
    Measure,
    Or,
    Selector,
    Term,
    WorkerMissing,
)
from watchkeeper.core.rule import Rule

BAD_REQUESTS: Final = (
    "Look at the issues that began at that time: their traces name the failing line.",
    "If a release went live just before, go back to the one before it.",
)
EVENT: Final = ("Open the issue: its trace names the line, and its events the requests.",)
NO_TRAFFIC: Final = (
    "Open the application as a visitor would; then look at load balancer, DNS and certificates.",
)
MANY_REQUESTS: Final = ("Look at which routes grew, and whether one client asks for all of it.",)
SLOW: Final = (
    "Look at the slowest routes, and open a sample: it shows where the time went.",
    "If a release went live just before, go back to the one before it.",
)
CHECK: Final = ("Look at the check's last output, and at what it talks to.",)
WORKER: Final = (
    "Look at the worker's host: at the kernel's log for a kill, at the server's log for a crash.",
)
OTHER: Final = ("Look at the metric's course on the dashboard, and at what else changed then.",)

# The first prefix of the metric's name that fits.
_BY_METRIC: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("http_server_request_duration", SLOW),
    (
        "http_client_",
        ("Look at the outgoing calls by host: the other side is slow or away.",),
    ),
    (
        "db_client_connection_",
        ("Look for what holds a connection long: slow statements, calls in transactions.",),
    ),
    (
        "db_client_",
        ("Look at the slowest statements, and at the database's own load and locks.",),
    ),
    (
        "process_memory",
        ("Look at which worker grew and since when; restart it before the kernel kills it.",),
    ),
    (
        "host_memory",
        ("Look at which process grew and since when; restart it before the kernel kills one.",),
    ),
    ("process_cpu", ("Look at which routes take the time, and whether there is more traffic.",)),
    ("host_cpu", ("Look at which process takes the time, and whether there is more traffic.",)),
    (
        "process_open_file",
        ("Look for sockets and files that are opened and not closed; restart the worker.",),
    ),
    (
        "host_disk",
        ("Look for what grew: logs, uploads, temporary files, the database; make room.",),
    ),
    (
        "event_loop",
        ("Look for code that blocks the loop: slow requests without a slow query or call.",),
    ),
    ("job_", ("Look at the job's last run and its error; start it again if it was missed.",)),
    (
        "watchkeeper_stor",
        ("Raise storage_budget, or keep less: watchkeeper size shows what takes the room.",),
    ),
    (
        "watchkeeper_",
        ("Look at the log of the workers: Watchkeeper says there what it cannot do, and why.",),
    ),
)


def next_steps(rule: Rule) -> tuple[str, ...]:
    """Return what to do first, each a sentence; of a composite, what its first term asks for."""
    if rule.is_event or rule.when is None:
        return EVENT
    term = _first(rule.when)
    if isinstance(term, CheckFailing):
        return CHECK
    if isinstance(term, WorkerMissing):
        return WORKER
    return _of_comparison(term)


def _first(condition: Condition) -> Term:
    if isinstance(condition, And | Or):
        return _first(condition.parts[0])
    return condition


def _of_comparison(term: Comparison) -> tuple[str, ...]:
    selector: Selector = term.selector
    if selector.measure in (Measure.ERROR_RATE, Measure.ERRORS):
        return BAD_REQUESTS
    counts_requests = selector.measure is Measure.REQUESTS or (
        selector.measure is Measure.RATE and selector.metric == HTTP_DURATION.name
    )
    if counts_requests:
        return MANY_REQUESTS if term.operator.is_upward else NO_TRAFFIC
    fitting = (steps for prefix, steps in _BY_METRIC if selector.metric.startswith(prefix))
    return next(fitting, OTHER)
