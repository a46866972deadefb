"""Whether the settings expect an exception, whatever the host's own judges do."""

from typing import Final

from watchkeeper.core.badness import Badness, BadnessRules
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.record import current

_JUDGE: Final = guard("expected_exceptions")


def expects(badness: Badness, exc: BaseException) -> bool:
    """Tell whether an exception is an expected one; a judge that fails says no."""
    with _JUDGE:
        return badness.expects(exc)
    return False


def expects_here(rules: BadnessRules, exc: BaseException) -> bool:
    """Tell whether it is expected in the request or job that runs, or outside of any."""
    if not rules.expect_any:
        return False
    record = current.get()
    request = record.describe() if record is not None else None
    return expects(rules.of(request.route if request is not None else ""), exc)
