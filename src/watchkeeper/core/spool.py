"""Spools: the files that a stopped process leaves, and what another one may do with each."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self

NOBODY: Final = 0  # the worker of a spool whose process never reached the database
NOWHERE: Final = "00000000"  # the installation of such a spool
LEFT_AFTER_S: Final = 60.0  # spilling takes two seconds; what is unfinished for longer was left

_NAME: Final = re.compile(
    r"(?P<first_at>\d{10,12})-(?P<id>[0-9a-f]{16})-(?P<installation>[0-9a-f]{8})-"
    r"(?P<worker>\d{1,19})\.(?P<ending>spool|part)"
)


class Reason(StrEnum):
    """What is to be done with a spool, and why."""

    OWNED = "owned"  # its worker is one of this database: its keys hold
    ORPHANED = "orphaned"  # no worker of this database owns it: one has to be made first
    LEFT_UNFINISHED = "left_unfinished"  # its process died while it wrote: to be taken as it is
    BEING_WRITTEN = "being_written"  # not to be touched


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SpoolName:
    """The name of a spool's file, which says all that decides about it; ordered by age.

    The owner is part of the name, so that taking possession is one renaming, which only one
    process can win, and which is either done or not, whenever that process is killed.
    """

    first_at: int  # when the oldest slot in it began, in seconds since the epoch
    id: str  # 16 hex digits
    installation: str = NOWHERE  # 8 hex digits: the database that `worker` is an id of
    worker: int = NOBODY
    finished: bool = True

    def __str__(self) -> str:
        """Write the file's name."""
        ending = "spool" if self.finished else "part"
        return f"{self.first_at:010d}-{self.id}-{self.installation}-{self.worker}.{ending}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read a file's name; None for any other file."""
        found = _NAME.fullmatch(text)
        if found is None:
            return None
        return cls(
            first_at=int(found["first_at"]),
            id=found["id"],
            installation=found["installation"],
            worker=int(found["worker"]),
            finished=found["ending"] == "spool",
        )

    def owned_by(self, worker: int, *, installation: str) -> Self:
        """Return the name under which the spool belongs to a worker of a database."""
        return replace(self, worker=worker, installation=installation)


def adoption(name: SpoolName, *, installation: str, age_s: float) -> Reason:
    """Decide what a process that uses the database `installation` does with a spool.

    `age_s`: how long ago its file was last written to.
    """
    if not name.finished:
        return Reason.LEFT_UNFINISHED if age_s > LEFT_AFTER_S else Reason.BEING_WRITTEN
    if name.worker == NOBODY or name.installation != installation:
        return Reason.ORPHANED
    return Reason.OWNED
