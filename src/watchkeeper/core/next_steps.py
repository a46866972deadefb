"""What to do next about an alert: a line or two for its message, by the kind of its rule."""

from collections.abc import Mapping
from typing import Final

from watchkeeper.core.conditions import (
    CheckFailing,
    Condition,
    Measure,
    Operator,
    WorkerMissing,
    terms,
)
from watchkeeper.core.rule import Rule

MAX_STEPS: Final = 4

_SLOW_ROUTES: Final = "Look at the slowest routes, and at what is inside their requests."
_BY_MEASURE: Final[Mapping[Measure, str]] = {
    Measure.ERROR_RATE: "Look at the issues that began shortly before.",
    Measure.ERRORS: "Look at the issues that began shortly before.",
    Measure.APDEX: _SLOW_ROUTES,
}
_FEW_REQUESTS: Final = "See whether requests reach the application: load balancer, DNS, clients."
_MANY_REQUESTS: Final = "See which routes the requests are for, and from which clients they come."
# By how the name of the metric begins: the first that fits.
_BY_PREFIX: Final[Mapping[str, str]] = {
    "http_server_": _SLOW_ROUTES,
    "http_client_": "Look at the outgoing calls by host: the other side is slow or away.",
    "db_client_connection_": "Look for what holds a connection long: slow statements, calls in "
    "transactions.",
    "db_client_": "Look at the slowest statements, and at the database's own load and locks.",
    "process_memory_": "See which worker grows; at the limit the kernel ends one.",
    "process_cpu_": "See which routes take the time, and whether there is more traffic.",
    "process_open_file_": "Look for files and sockets that are opened and not closed.",
    "process_file_": "Look for files and sockets that are opened and not closed.",
    "host_memory_": "See which worker grows; at the limit the kernel ends one.",
    "host_cpu_": "See which routes take the time, and whether another process does.",
    "host_disk_": "See what grew: logs, uploads, temporary files, the database; make room.",
    "event_loop_": "Look for code that blocks the loop: slow requests with nothing slow inside.",
    "job_": "Look at the job's last run and its error (watchkeeper jobs NAME); start it again "
    "if it was missed.",
    "watchkeeper_unreadable_": "Run watchkeeper config check where the application runs: it names "
    "each rule that is off, with its place and the cure.",
    "watchkeeper_stor": "Raise storage_budget or keep less; watchkeeper size shows what is large.",
    "watchkeeper_": "Read the workers' log: Watchkeeper says there what it cannot do, and why.",
}


def next_steps(rule: Rule, *, release: str = "") -> tuple[str, ...]:
    """Return what to look at, the most specific first; `release` began shortly before."""
    found = [f"Follow the runbook: {rule.runbook}"] if rule.runbook else []
    if release:
        found.append(f"See what changed with release {release}.")
    if rule.when is None:
        found.append("Open the issue: its trace and the requests it happened in.")
        return tuple(found[:MAX_STEPS])
    found += _by_term(rule.when)
    return tuple(dict.fromkeys(found))[:MAX_STEPS]


def _by_term(condition: Condition) -> list[str]:
    """Return a step for each term that has one; if none has, what is true of any figure."""
    found, otherwise = [], []
    for term in terms(condition):
        if isinstance(term, CheckFailing):
            found.append("Read what the check said, and try what it tries.")
        elif isinstance(term, WorkerMissing):
            found.append(
                "See on its host whether the process lives, and what the kernel's log says."
            )
        elif term.selector.measure is Measure.REQUESTS:
            if term.operator.is_downward or term.operator is Operator.EQUAL:
                found.append(_FEW_REQUESTS)
            else:  # beside others it only says that there are enough of them to judge
                otherwise.append(_MANY_REQUESTS)
        else:
            step = _BY_MEASURE.get(term.selector.measure) or _of_metric(term.selector.metric)
            name = term.selector.metric or term.selector.measure
            found += [step] if step else []
            otherwise.append(f"See what drives {name}, and what else has changed since it began.")
    return found or otherwise


def _of_metric(name: str) -> str:
    return next((step for start, step in _BY_PREFIX.items() if name.startswith(start)), "")
