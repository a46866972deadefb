"""What is known of each health check now: fresh results, of workers that live."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

from watchkeeper.core.health import SILENT_AFTER_RUNS, is_ahead
from watchkeeper.core.health import CheckState as State
from watchkeeper.core.verdicts import CheckState
from watchkeeper.runtime.watched import LATE_S
from watchkeeper.storage.store import ALL_WORKERS, CheckResult

FRESH_S: Final = 3_600.0  # how long a result counts where nobody says how often its check runs
GIVEN_UP_S: Final = 300.0  # without a result for so long, a check that is not declared is gone

Intervals = Callable[[], Mapping[str, float]]
"""How often each check runs that this process declares, in seconds."""


def check_states(
    results: Iterable[CheckResult],
    *,
    live: Collection[int],
    intervals: Intervals | None,
    now: float,
) -> Iterator[CheckState]:
    """Yield each check with its worst fresh result; one without any is unknown.

    Only workers of `live` count, and what one tells for all. A check that is not declared in this
    process (`intervals`; None: nothing is known of that) and is not run any more is left out.
    """
    declared = None if intervals is None else intervals()
    best: dict[str, CheckResult] = {}
    silent: dict[str, CheckResult] = {}
    for result in results:
        is_ours = result.worker == ALL_WORKERS or result.worker in live
        is_fresh = is_ours and now - result.at <= fresh_s(result, declared)
        is_fresh = is_fresh and not is_ahead(result.at, now)
        found = best if is_fresh else silent
        known = found.get(result.name)
        if known is None or _badness(result) > _badness(known):
            found[result.name] = result
    yield from (_known(result) for result in best.values())
    for name, result in silent.items():
        if name not in best and (declared is None or name in declared):
            yield CheckState(name=name, state=State.UNKNOWN.value, critical=result.critical)


def _badness(result: CheckResult) -> tuple[int, bool, int, float]:
    """Order results of one check: the worst is told, of equals the one that clears last."""
    is_failing = result.state == State.FAIL
    return result.failures, is_failing, -result.successes if is_failing else 0, result.at


def fresh_s(result: CheckResult, declared: Mapping[str, float] | None = None) -> float:
    """Return how long a result counts, in seconds after its run."""
    every_s = result.data.get("every_s")
    if isinstance(every_s, int | float):
        return SILENT_AFTER_RUNS * every_s + LATE_S
    if declared is None:
        return FRESH_S
    every_s = declared.get(result.name)
    return GIVEN_UP_S if every_s is None else SILENT_AFTER_RUNS * every_s + LATE_S


def _known(result: CheckResult) -> CheckState:
    return CheckState(
        name=result.name,
        state=result.state,
        failures=result.failures,
        successes=result.successes,
        critical=result.critical,
        output=result.output,
    )
