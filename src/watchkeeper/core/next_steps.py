"""What to do next about an alert: a line or two for its message, by the kind of its rule."""

from collections.abc import Mapping
from typing import Final

from watchkeeper.core.catalogue import HOST_CPU, HOST_MEMORY, HTTP_DURATION
from watchkeeper.core.conditions import CheckFailing, Measure, WorkerMissing, terms
from watchkeeper.core.rule import Rule

MAX_STEPS: Final = 4

_BY_MEASURE: Final[Mapping[Measure, str]] = {
    Measure.ERROR_RATE: "Look at the issues that began shortly before.",
    Measure.ERRORS: "Look at the issues that began shortly before.",
    Measure.REQUESTS: "See whether requests reach the application: load balancer, DNS, clients.",
}
_BY_METRIC: Final[Mapping[str, str]] = {
    HTTP_DURATION.name: "Look at the slowest routes, and at what is inside their requests.",
    HOST_MEMORY.name: "See which worker grows; at the limit the kernel ends one.",
    HOST_CPU.name: "See which routes take the time, and whether another process does.",
}


def next_steps(rule: Rule, *, release: str = "") -> tuple[str, ...]:
    """Return what to look at, the most specific first; `release` began shortly before."""
    found = [f"Follow the runbook: {rule.runbook}"] if rule.runbook else []
    if release:
        found.append(f"See what changed with release {release}.")
    if rule.when is None:
        found.append("Open the issue: its trace and the requests it happened in.")
        return tuple(found[:MAX_STEPS])
    for term in terms(rule.when):
        if isinstance(term, CheckFailing):
            step = "Read what the check said, and try what it tries."
        elif isinstance(term, WorkerMissing):
            step = "See on its host whether the process lives, and what the kernel's log says."
        else:
            selector = term.selector
            step = _BY_MEASURE.get(selector.measure) or _BY_METRIC.get(selector.metric, "")
        if step and step not in found:
            found.append(step)
    return tuple(found[:MAX_STEPS])
