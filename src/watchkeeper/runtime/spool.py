"""Slots that outlive their process: spilled to a file at its end, written by another one.

Which process writes them is arranged by a lease, so that many workers that start together do not
all come at once; that nothing is counted twice is due to the keys of the frames, which stay those
of the worker that made them, and to the owner that is part of a file's name.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from watchkeeper.core.metrics import Scope
from watchkeeper.core.spool import NOBODY, NOWHERE, Reason, SpoolName, adoption
from watchkeeper.exceptions import StorageError, StorageUnavailableError

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from sqlalchemy import Engine

    from watchkeeper.storage.store import Batch, Store

LOOK_EVERY_S: Final = 60.0  # give or take a quarter; a stopped sibling's slots wait so long
MAX_BATCHES: Final = 200  # written in one turn, each in a transaction of its own
TURN_S: Final = 0.5  # how long a turn may last; the next one comes with the next slot
LEASE_S: Final = 30.0
MAX_TOLD: Final = 100  # spools that this process complained about and does not again

_log = logging.getLogger("watchkeeper")


class Spool:
    """The spools of one service and database: makes this process' own, writes those of others."""

    def __init__(
        self,
        scope: Scope,
        *,
        clock: Callable[[], float],
        database_url: str | Engine = "memory://",
        setting: str = "",
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Remember where spools may be; nothing is made or read. For a store in memory: nowhere.

        `setting`: a folder, "off", or empty for the usual places.
        """
        self._scope = scope
        self._clock = clock
        self._database_url = database_url
        self._setting = setting
        self._environ = environ
        self._directory = os.getcwd()  # the host may change it later
        self._installation = NOWHERE
        self.reset()

    def reset(self) -> None:
        """Begin anew in a forked child."""
        self._looked_at: float | None = None
        self._pause_s = 0.0  # the first look is at once: a flush has waited its jitter already
        self._told: set[str] = set()

    def prepare(self) -> None:
        """Load what `spill` needs, for there will be little time."""
        import watchkeeper.storage.spool  # noqa: F401  # for later

    def meet(self, store: Store) -> None:
        """Learn which database the ids of workers belong to. Raises StorageError."""
        if self._installation == NOWHERE:
            born = store.set_meta("installed_at", str(self._clock()), only_new=True)
            self._installation = blake2b(born.encode(), digest_size=4).hexdigest()

    def spill(self, batches: Sequence[Batch], *, worker: int, deadline: float) -> int:
        """Write batches to a file until `deadline` (by `monotonic`); return how many.

        `worker`: the id under which this process is registered, 0 if it never was. Says in one
        line where they are, or that they are lost; raises nothing for want of a place.
        """
        from watchkeeper.storage.spool import GoneSpoolError, SpoolError, write_spool

        name = SpoolName(
            first_at=max(0, batches[0].frame.key.start),
            id=secrets.token_hex(8),
            installation=self._installation if worker != NOBODY else NOWHERE,
            worker=worker,
        )
        problem = "spool is off"
        for folder in self.folders():
            try:
                written = write_spool(
                    folder,
                    name,
                    batches,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    at=self._clock(),
                    deadline=deadline,
                )
            except GoneSpoolError as error:
                problem = str(error)
                break  # a database in a folder that is missing: nobody would ever come for it
            except SpoolError as error:
                problem = str(error)
                continue
            _log.warning(
                "watchkeeper: the database did not take %d slots before the end; "
                "they are in %s and the next process writes them.",
                written,
                folder / str(name),
            )
            if written < len(batches):
                self._lost(len(batches) - written, "no time or no room for more")
            return written
        self._lost(len(batches), problem)
        return 0

    def replay(self, store: Store, *, owner: int, pause: Callable[[], None]) -> int:
        """Write some of what stopped processes left, oldest first; return how many batches.

        Looks each minute, and goes on with each call while there is more. `owner` is the worker
        that does it; `pause` is called after each batch. Raises StorageError if the database is
        away again: what was written by then is not written again.
        """
        if not self._is_due():
            return 0
        waiting = self._waiting()
        name = f"spool:{self._scope.service}:{self._scope.environment}"
        if not waiting or store.acquire(name, owner=str(owner), ttl_s=LEASE_S) is None:
            return 0
        turn = _Turn(pause)
        try:
            for folder, spool, age_s in waiting:
                self._take_on(store, folder, spool, age_s, turn)
                if turn.is_over:
                    self._pause_s = 0.0  # go on with the next slot
                    break
        finally:
            with suppress(StorageError):
                store.release(name, owner=str(owner))
        return turn.written

    def _is_due(self) -> bool:
        now = self._clock()
        last = self._looked_at
        if last is not None and 0 <= now - last < self._pause_s:  # below 0: the clock was set back
            return False
        self._looked_at = now
        self._pause_s = LOOK_EVERY_S * random.uniform(0.75, 1.25)  # noqa: S311  # no secret
        return True

    def folders(self) -> tuple[Path, ...]:
        """Return where what outlives a process may be, the best place first."""
        from watchkeeper.storage.spool import folders

        return folders(
            self._setting,
            database_url=self._database_url,
            service=self._scope.service,
            environment=self._scope.environment,
            environ=self._environ,
            directory=self._directory,
        )

    def _waiting(self) -> list[tuple[Path, SpoolName, float]]:
        """List what there is in every folder, oldest first."""
        from watchkeeper.storage.spool import find_spools

        now = self._clock()
        found = [
            (folder, name, age_s)
            for folder in self.folders()
            for name, age_s in find_spools(folder, now=now)
        ]
        return sorted(found, key=lambda one: one[1])

    def _take_on(
        self, store: Store, folder: Path, name: SpoolName, age_s: float, turn: _Turn
    ) -> None:
        """Write one spool, as far as the turn allows; put it aside if it is damaged."""
        from watchkeeper.storage import spool as files

        reason = adoption(name, installation=self._installation, age_s=age_s)
        if reason is Reason.BEING_WRITTEN:
            return
        try:
            if reason is Reason.LEFT_UNFINISHED:
                left, name = name, replace(name, finished=True)
                files.rename_spool(folder, left, name)
                reason = adoption(name, installation=self._installation, age_s=age_s)
            if reason is Reason.ORPHANED:
                name = self._adopted(store, folder, name)
            self._write(store, folder, name, turn)
        except files.GoneSpoolError:
            return  # another process was faster
        except files.DamagedSpoolError as error:
            aside = files.put_aside(folder, name)
            self._complain(name, f"a spool is damaged ({error}); what is left of it is {aside}.")
        except files.SpoolError as error:  # not ours to read, or of a newer process
            self._complain(name, f"spool {folder / str(name)} is left as it is: {error}.")

    def _adopted(self, store: Store, folder: Path, name: SpoolName) -> SpoolName:
        """Make a worker that owns a spool, and return the spool's new name.

        Who is killed before the renaming has made a worker that owns nothing; who is too late
        for it as well, and GoneSpoolError is raised.
        """
        from watchkeeper.storage import spool as files

        with files.SpoolFile.open(folder, name) as file:
            head, first = file.head, next(file.batches(), None)
        if first is None:
            files.remove_spool(folder, name)
            raise files.GoneSpoolError("all of it is written")
        owner = store.register(first.scope, host=head.host, pid=head.pid, at=first.at)
        store.stop_worker(owner.id, at=head.at)  # it is history: never live, never missing
        owned = name.owned_by(owner.id, installation=self._installation)
        files.rename_spool(folder, name, owned)
        return owned

    def _write(self, store: Store, folder: Path, name: SpoolName, turn: _Turn) -> None:
        from watchkeeper.storage import spool as files

        with files.SpoolFile.open(folder, name) as file:
            for batch in file.batches():
                if turn.is_over:
                    return
                try:
                    store.write(batch.owned_by(name.worker))
                except StorageUnavailableError:
                    raise
                except StorageError as error:  # it will never be taken
                    raise files.DamagedSpoolError(str(error)) from error
                file.mark()
                turn.wrote()
            head, slots = file.head, file.done
        store.stop_worker(name.worker, at=head.at)
        files.remove_spool(folder, name)
        _log.warning("watchkeeper: wrote the %d slots that a stopped process left.", slots)

    def _complain(self, name: SpoolName, sentence: str) -> None:
        """Say something about a spool once."""
        if name.id not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(name.id)
            _log.warning("watchkeeper: %s", sentence)

    def _lost(self, slots: int, problem: str) -> None:
        _log.error(
            "watchkeeper: %d slots are lost: the database did not take them before the end, "
            "and there is no spool (%s).",
            slots,
            problem,
        )


class _Turn:
    """How much may still be written before others get their turn."""

    def __init__(self, pause: Callable[[], None]) -> None:
        self.written = 0
        self._pause = pause
        self._ends_at = perf_counter() + TURN_S

    @property
    def is_over(self) -> bool:
        return self.written >= MAX_BATCHES or perf_counter() >= self._ends_at

    def wrote(self) -> None:
        self.written += 1
        self._pause()
