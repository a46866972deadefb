"""The shop's own process: the application, watched, under uvicorn.

Started by the demo as `python -m watchkeeper.demo.serve PLAN`. Lines on its standard input switch
the incident and ask for the independent timer's figures; its end ends the process.
"""

import importlib.util
import json
import socket
import sys
import threading
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from watchkeeper.demo.faults import Faults
from watchkeeper.demo.profiles import PREFIX, Profile, demo_settings
from watchkeeper.demo.stopwatch import Stopwatch, exact_quantile
from watchkeeper.integrations import watch

SHOP_FILE: Final = "shop.py"
SHOP_DATABASE: Final = "shop.db"
BACKLOG: Final = 128
KEEP_ALIVE_S: Final = 75  # longer than a round: no connection of the traffic's is closed under it
SHUT_DOWN_S: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the shop's process has to know; handed over as JSON."""

    folder: str  # holds the copy of the shop and its database
    database: str  # Watchkeeper's file
    webhook: str
    secret: str
    profile: str
    port: int = 0  # 0: any free one

    def to_json(self) -> str:
        """Return the plan as one argument of a command."""
        return json.dumps(asdict(self))


def copy_shop(folder: Path) -> None:
    """Copy the shop out of the package, so that it is an application of its own."""
    source = files("watchkeeper.demo").joinpath(SHOP_FILE).read_text("utf-8")
    (folder / SHOP_FILE).write_text(source, "utf-8")


def load_shop(folder: Path) -> ModuleType:
    """Import the copy of the shop in a folder, as the application `shop`."""
    spec = importlib.util.spec_from_file_location("shop", folder / SHOP_FILE)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"there is no {SHOP_FILE} in {folder}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["shop"] = module  # FastAPI looks annotations up by the module's name
    spec.loader.exec_module(module)
    return module


def main(text: str) -> None:
    """Serve the shop until asked to end."""
    import uvicorn

    plan = Plan(**json.loads(text))
    folder = Path(plan.folder)
    try:
        listener = _listen(plan.port)
    except OSError as error:
        _say({"error": f"port {plan.port} cannot be used: {error.strerror}"})
        return
    port = listener.getsockname()[1]

    faults = Faults()
    shop = load_shop(folder)
    app = shop.create_app(shop.Shelf(folder / SHOP_DATABASE), faults)
    watch(
        app,
        demo_settings(
            Profile(plan.profile),
            database=Path(plan.database),
            shop_database=folder / SHOP_DATABASE,
            webhook=plan.webhook,
            secret=plan.secret,
            public_url=f"http://127.0.0.1:{port}",
        ),
    )
    timed = Stopwatch(app, skip=PREFIX)
    config = uvicorn.Config(
        timed,
        log_level="critical",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUT_DOWN_S,
    )
    server = uvicorn.Server(config)
    threading.Thread(
        target=_obey, args=(server, faults, timed), name="demo control", daemon=True
    ).start()
    _say({"port": port})
    server.run(sockets=[listener])


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(BACKLOG)
    return listener


def _obey(server: Any, faults: Faults, timed: Stopwatch) -> None:
    """Follow the demo's orders, one a line; without the demo there is no shop."""
    for line in sys.stdin:
        order = line.strip()
        if order.startswith("incident"):
            faults.incident = order == "incident on"
            _say({"incident": faults.incident})
        elif order == "times":
            times_s = list(timed.times_s)
            p95_s = exact_quantile(times_s, 0.95) if times_s else None
            _say({"count": len(times_s), "p95_s": p95_s})
    server.should_exit = True


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
