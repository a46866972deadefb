"""What failing checks and jobs said last, for the messages about them."""

from collections.abc import Mapping
from typing import Final

from watchkeeper.core.conditions import CHECK_LABEL, CheckFailing, comparisons, terms
from watchkeeper.core.health import CheckState
from watchkeeper.core.job_facts import FAILED
from watchkeeper.core.metrics import Scope
from watchkeeper.core.rule import Rule
from watchkeeper.runtime import job_memory, scrubbing
from watchkeeper.storage.store import CheckResult, Store

MAX_SAID: Final = 200  # characters
JOB_LABEL: Final = "job"
_OF_JOBS: Final = "job_"  # what the metrics of jobs begin with


def last_said(store: Store, scope: Scope, rule: Rule | None) -> Mapping[tuple[str, str], str]:
    """Return what failed said last, by the label that names it and its value; it holds no secret.

    Empty for rules on anything else. Raises StorageError.
    """
    when = rule.when if rule is not None else None
    if when is None:
        return {}
    said: dict[tuple[str, str], str] = {}
    if any(isinstance(term, CheckFailing) for term in terms(when)):
        results = store.checks(service=scope.service, environment=scope.environment)
        failing = (one for one in results if one.state == CheckState.FAIL or one.failures)
        for one in sorted(failing, key=_weight):
            said[CHECK_LABEL, one.name] = one.output
    if any(term.selector.metric.startswith(_OF_JOBS) for term in comparisons(when)):
        for name, facts in job_memory.read(store, scope).facts.items():
            run = facts.last_run
            if run is not None and run.outcome == FAILED:
                said[JOB_LABEL, name] = run.output
    return {key: scrubbing.text(text, limit=MAX_SAID) for key, text in said.items() if text}


def _weight(result: CheckResult) -> tuple[int, float]:
    """Order the results of a check by its workers: the worst says why, of equals the newest."""
    return result.failures, result.at
