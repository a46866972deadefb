"""The built-in check of memory: how full the control group is, else the machine."""

from pathlib import Path
from typing import Final, Unpack

from watchkeeper.core.health import CheckState, Observed
from watchkeeper.core.units import format_share
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.builtin.options import Common, made, share
from watchkeeper.runtime.cgroup import memory_use
from watchkeeper.runtime.checks import Check

ROOT: Final = Path("/")
PERCENT: Final = 100


def memory_check(
    *,
    warn: str = "90%",
    fail: str = "97%",
    **common: Unpack[Common],
) -> Check:
    """Return a check of the memory in use: of the control group's limit, else of the machine's.

    Raises ConfigurationError.
    """
    warn_share, fail_share = share(warn, "warn"), share(fail, "fail")
    if fail_share < warn_share:
        raise ConfigurationError(f"fail: {fail} is below warn, {warn}; make it larger")

    def look(deadline: float) -> Observed:
        return memory_in_use(ROOT, warn_share=warn_share, fail_share=fail_share)

    return made(look, common, name="memory", scope="worker", component="system")


def memory_in_use(root: Path, *, warn_share: float, fail_share: float) -> Observed:
    """Judge the share in use; `root` is where /proc and /sys are."""
    import psutil

    machine = psutil.virtual_memory()
    group = memory_use(root, total_bytes=machine.total)
    limited = None if group is None else group.share
    used = 1 - machine.available / machine.total if limited is None else limited
    whose = "the machine's memory" if limited is None else "the control group's limit"
    state = CheckState.PASS
    if used > warn_share:
        state = CheckState.FAIL if used > fail_share else CheckState.WARN
    return Observed(
        value=round(used * PERCENT, 2),
        unit="percent",
        text="" if state is CheckState.PASS else f"{format_share(used)} of {whose} in use",
        state=state,
    )
