"""The built-in check of a disk: how much of it is free, of its bytes and its files."""

import os
from typing import Final, Unpack

from watchkeeper.core.health import CheckState, Observed
from watchkeeper.core.units import format_share, format_size
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.builtin.options import (
    CheckFailedError,
    Common,
    made,
    share_or_size,
    text,
    worst,
)
from watchkeeper.runtime.checks import Check

PERCENT: Final = 100


class _Floor:
    """How little may be free: a share of the whole, or bytes."""

    def __init__(self, value: object, key: str) -> None:
        self.share, self.size_bytes = share_or_size(value, key)

    def is_above(self, free_share: float, free_bytes: float | None) -> bool:
        """Tell whether less is free; `free_bytes` is None for what is not counted in bytes."""
        if self.share is not None:
            return free_share < self.share
        return free_bytes is not None and free_bytes < (self.size_bytes or 0)


def disk_check(
    path: str = ".",
    *,
    warn_free: str = "10%",
    fail_free: str = "2%",
    **common: Unpack[Common],
) -> Check:
    """Return a check of the file system that a folder is on.

    Warns and fails below these: a share, which is asked of the inodes too, or a size. What is
    kept for root is not free. Raises ConfigurationError.
    """
    folder = os.path.abspath(text(path, "path", example='"/var/lib/shop"'))
    warn, fail = _Floor(warn_free, "warn_free"), _Floor(fail_free, "fail_free")
    if None not in (warn.share, fail.share) and (fail.share or 0) > (warn.share or 0):
        raise ConfigurationError(
            f"fail_free: {fail_free} is above warn_free, {warn_free}; make it smaller"
        )

    def look(deadline: float) -> Observed:
        free_bytes, size_bytes = _space(folder)
        free = free_bytes / size_bytes if size_bytes else 0.0
        states, words = [_state(free, free_bytes, warn, fail)], []
        if states[0] is not CheckState.PASS:
            words.append(f"{format_size(free_bytes)} free, {format_share(free)}")
        inodes = _free_inodes(folder)
        if inodes is not None:
            states.append(_state(inodes, None, warn, fail))
            if states[1] is not CheckState.PASS:
                words.append(f"{format_share(inodes)} of the inodes free")
        return Observed(
            value=round(free * PERCENT, 2),
            unit="percent",
            text=f"{folder}: {'; '.join(words)}" if words else "",
            state=worst(*states),
        )

    return made(look, common, name="disk", every="1m", scope="worker", component="system")


def _state(free_share: float, free_bytes: float | None, warn: _Floor, fail: _Floor) -> CheckState:
    if fail.is_above(free_share, free_bytes):
        return CheckState.FAIL
    return CheckState.WARN if warn.is_above(free_share, free_bytes) else CheckState.PASS


def _space(folder: str) -> tuple[float, float]:
    """Return the bytes that are free, and those that this user could use in all."""
    import psutil

    try:
        usage = psutil.disk_usage(folder)
    except FileNotFoundError:
        raise CheckFailedError(f"{folder} is not there") from None
    except OSError as error:
        raise CheckFailedError(f"{folder}: {error.strerror}") from None
    return float(usage.free), float(usage.used + usage.free)


def _free_inodes(folder: str) -> float | None:
    """Return the share of inodes that are free; None where they are not counted."""
    if not hasattr(os, "statvfs"):
        return None
    found = os.statvfs(folder)
    usable = found.f_files - found.f_ffree + found.f_favail
    return found.f_favail / usable if found.f_files and usable > 0 else None
