"""Opening the store: at the first flush, again after each failure, and never what cannot be."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from watchkeeper.exceptions import (
    ConfigurationError,
    SchemaError,
    StorageError,
    UpgradeNeededError,
)
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.parts import Parts

if TYPE_CHECKING:  # loaded when the store is open, so that the host's start does not wait
    from watchkeeper.runtime.alerts import AlertEngine
    from watchkeeper.runtime.outbox import Outbox
    from watchkeeper.runtime.upkeep import Upkeep
    from watchkeeper.storage.store import Store

_log = logging.getLogger("watchkeeper")


class Opening:
    """The store of this process, and what works on it; None of them is there until it is open."""

    def __init__(self, parts: Parts) -> None:
        """Prepare; nothing is opened before `opened`."""
        self.failure = ""  # why storing is off for good, in a sentence for people
        self._parts = parts
        self.reset()

    def reset(self) -> None:
        """Begin anew in a forked child, whose parent keeps the connections."""
        self.store: Store | None = None
        self.engine: AlertEngine | None = None
        self.outbox: Outbox | None = None
        self.upkeep: Upkeep | None = None

    def opened(self) -> Store | None:
        """Return the store, opening it at the first call and after a failure."""
        writer = self._parts.writer
        if self.failure:
            return None  # newer tables may be open, to be read
        if self.store is not None:
            return self.store
        if writer.is_waiting(self._parts.clock()):
            return None
        from watchkeeper.storage.fork_gate import IMPORT_PATIENCE_S, fork_gate

        with fork_gate.passing(patience_s=IMPORT_PATIENCE_S):
            writer.spool.prepare()
            writer.crashes.begin()
            try:
                store = self._parts.open_store()
                self._bring_up_to_date(store)
                engine = self._parts.make_engine(store, give_way)
            except (ConfigurationError, SchemaError) as error:
                self.give_up(str(error))
                return None
            except UpgradeNeededError as error:
                store.close()
                writer.unavailable(str(error), reached=True)
                return None
            except StorageError as error:
                writer.unavailable(str(error))
                return None
            self.engine = engine
            self.outbox = self._parts.make_outbox(store)
            self.upkeep = self._parts.make_upkeep(store, writer.store_only, give_way)
        self.store = store
        with guard("ignored issues"):
            writer.learn_ignored(store)
        with guard("retention"):
            self.upkeep.follow()
        return store

    def resume(self) -> None:
        """Go on in a process that had stopped: the store is there, what worked on it has ended."""
        if self.store is not None:
            self._parts.writer.crashes.begin()
        if self.outbox is not None:
            self.outbox.resume()

    def _bring_up_to_date(self, store: Store) -> None:
        """Change the tables, or see whether somebody else has; newer ones are open to be read."""
        from watchkeeper.runtime.upgrades import bring_up_to_date

        try:
            bring_up_to_date(store, may_change=self._parts.migrates)
        except SchemaError:
            self.store = store
            raise

    def give_up(self, failure: str) -> None:
        """Store nothing in this process any more, and say why: the sentence is all there is."""
        failure = scrubbing.text(failure)
        if failure != self.failure:
            self.failure = failure
            _log.error("watchkeeper: %s", self.failure)


def give_way() -> None:
    """Let request threads run if this thread has been busy for a while."""
    from watchkeeper.storage.turns import give_way

    give_way()
