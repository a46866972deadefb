"""The rule that tells of rules which cannot be evaluated, and what it judges them by."""

from dataclasses import replace
from typing import Final

from watchkeeper.core.conditions import write_labels
from watchkeeper.core.judging import CLEAR_SUCCESSES
from watchkeeper.core.rules import Alert, Origin, compile_alert
from watchkeeper.core.verdicts import CheckState, Evidence
from watchkeeper.runtime.incidents import Subject
from watchkeeper.runtime.subjects import Judged

BROKEN_RULE: Final = replace(
    compile_alert(
        # Of each rule, as if evaluating it were a health check.
        Alert("Rule cannot be evaluated", when="check failing", after=3, severity="warning"),
        where="the engine",
        origin=Origin.PACK,
    ),
    by=("rule",),
)
"""What is told when evaluating a rule failed three times in a row; its state is kept meanwhile."""


def judged_broken(name: str, *, failures: int) -> Judged:
    """Return a rule as an instance of the broken ones; with no failures it is well again."""
    state = CheckState(
        name=name,
        state="fail" if failures else "pass",
        failures=failures,
        successes=0 if failures else CLEAR_SUCCESSES,
    )
    labels = {"rule": name}
    subject = Subject(
        rule=BROKEN_RULE,
        name=BROKEN_RULE.name,
        group=write_labels(tuple(labels.items())),
        labels=labels,
        severity=BROKEN_RULE.severity,
    )
    return Judged(subject=subject, evidence=Evidence(checks=(state,)))
