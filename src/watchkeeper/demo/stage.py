"""Everything a demo needs around the shop: a folder, a database with a past, a receiver."""

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

from watchkeeper.core.slot import slot_start
from watchkeeper.demo.history import MINUTE_S, mark_installed, write_history
from watchkeeper.demo.process import DemoError, ShopProcess, require_packages
from watchkeeper.demo.profiles import Profile
from watchkeeper.demo.receiver import Received, Receiver
from watchkeeper.demo.serve import Plan, copy_shop, load_shop
from watchkeeper.runtime.cgroup import memory_use
from watchkeeper.storage import open_store

DATABASE_FILE: Final = "watchkeeper.db"
CONFIG_FILE: Final = "watchkeeper.toml"
# Kept between history and a measured round, so that no window of the round reaches into it.
ROUND_GAP_S: Final = 180


class Stage:
    """A folder of its own with shop, database and receiver; leaves nothing behind.

    `with Stage(Profile.SHOW) as stage: …`. Raises DemoError if the shop cannot be started.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        port: int = 0,
        on_message: Callable[[Received], None] = lambda _: None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare; nothing exists before the `with` block. `say` gets what is going on."""
        require_packages()
        self._profile = profile
        self._port = port
        self._on_message = on_message
        self._say = say
        self._shop: ShopProcess | None = None

    @property
    def shop(self) -> ShopProcess:
        """The shop as it runs now. Raises DemoError outside the `with` block."""
        if self._shop is None:
            raise DemoError("the shop is not running")
        return self._shop

    def __enter__(self) -> Self:
        """Make the folder, the past and the receiver, and start the shop."""
        self.folder = Path(tempfile.mkdtemp(prefix="watchkeeper-demo-"))
        self.receiver = Receiver(self._on_message)
        self.store = open_store(f"sqlite:///{self.folder / DATABASE_FILE}")
        try:
            self._set_up()
        except BaseException:
            self._tear_down()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the shop and remove everything."""
        self._tear_down()

    def restart_shop(self) -> None:
        """End the shop with SIGTERM and start it again, at the same port and on the same files."""
        port = self.shop.port
        self.shop.end()
        self._shop = ShopProcess(replace(self._plan, port=port))
        self._shop.wait_until_ready()

    def _set_up(self) -> None:
        copy_shop(self.folder)
        # The nearest configuration file: the user's own ones are not the demo's.
        (self.folder / CONFIG_FILE).write_text("", "utf-8")
        self.store.migrate()
        gap_s = ROUND_GAP_S if self._profile is Profile.ROUND else 0
        until = slot_start(time.time(), MINUTE_S) - gap_s
        mark_installed(self.store, until=until)
        self._plan = Plan(
            folder=str(self.folder),
            database=str(self.folder / DATABASE_FILE),
            webhook=self.receiver.url,
            secret=self.receiver.secret,
            profile=self._profile,
            port=self._port,
        )
        self._shop = ShopProcess(self._plan)
        shop = load_shop(self.folder)  # while the process starts
        started = time.perf_counter()
        write_history(
            self.store,
            shop=shop,
            root=self.folder,
            until=until,
            memory_share=_memory_share(),
        )
        self._say(f"an hour of history written in {time.perf_counter() - started:.1f} s")
        self._shop.wait_until_ready()

    def _tear_down(self) -> None:
        if self._shop is not None:
            self._shop.end()
        self.receiver.close()
        self.store.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _memory_share() -> float:
    """Return how full the memory is now, as the shop's process will find it."""
    memory = psutil.virtual_memory()
    limited = memory_use(Path("/"), total_bytes=memory.total)
    return limited.share if limited is not None else 1 - memory.available / memory.total
