"""The demo to be looked at: the shop runs until Ctrl-C, with an incident every few minutes."""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from watchkeeper.demo.pageview import get_when_ready
from watchkeeper.demo.process import DemoError
from watchkeeper.demo.profiles import PREFIX, Profile
from watchkeeper.demo.receiver import Received
from watchkeeper.demo.stage import Stage
from watchkeeper.demo.traffic import Traffic

RATE: Final = 20.0  # requests a second
FIRST_INCIDENT_S: Final = 15.0  # after the start
INCIDENT_S: Final = 60.0
INCIDENT_EVERY_S: Final = 240.0
LOOK_EVERY_S: Final = 0.5


def run_show(
    say: Callable[[str], None], *, port: int = 0, stopping: threading.Event | None = None
) -> None:
    """Run until Ctrl-C or until `stopping` is set; `say` gets each line for people.

    `port` is the shop's, 0 any free one. Raises DemoError if the shop cannot be started or ends.
    """
    stopping = stopping or threading.Event()
    say("Watchkeeper demo: a tea shop (FastAPI under uvicorn) under real load, on loopback only")
    with Stage(
        Profile.SHOW, port=port, on_message=lambda message: say(describe(message)), say=say
    ) as stage:
        traffic = Traffic(stage.shop.port, rate=RATE)
        traffic.start()
        try:
            get_when_ready(stage.shop.port, "/")
            say(f"shop       {stage.shop.url}/")
            say(f"dashboard  {stage.shop.url}{PREFIX}/")
            say(
                f"The first incident comes in {FIRST_INCIDENT_S:.0f} s, then one each "
                f"{INCIDENT_EVERY_S / 60:.0f} min. Messages appear here. Ctrl-C ends everything."
            )
            _repeat_incidents(stage, traffic, say, stopping)
        except KeyboardInterrupt:
            say("ending")
        finally:
            traffic.stop()


def describe(message: Received) -> str:
    """Return a received message as one line: time, severity, state, summary."""
    moment = datetime.fromtimestamp(message.at).astimezone().strftime("%H:%M:%S")
    symbol = "✔" if message.status == "resolved" else "▲"
    return (
        f"{moment}  {symbol} {message.status.upper():8}  {message.severity:8}  {message.summary}"
    )


def _repeat_incidents(
    stage: Stage, traffic: Traffic, say: Callable[[str], None], stopping: threading.Event
) -> None:
    """Switch the incident on and off in its rhythm, and watch that the shop is still there."""
    began = time.monotonic()
    on = False
    while not stopping.wait(LOOK_EVERY_S):
        if not stage.shop.is_running:
            raise DemoError("the shop's process ended by itself")
        wanted = is_incident(time.monotonic() - began)
        if wanted is not on:
            on = wanted
            traffic.rush = on
            stage.shop.switch_incident(on=on)
            moment = datetime.now().astimezone().strftime("%H:%M:%S")
            say(
                f"{moment}  · a rush: checkouts begin to fail, the search gets slow"
                if on
                else f"{moment}  · everything works again"
            )


def is_incident(elapsed_s: float) -> bool:
    """Tell whether an incident is on so many seconds after the start."""
    since_first = elapsed_s - FIRST_INCIDENT_S
    return since_first >= 0 and since_first % INCIDENT_EVERY_S < INCIDENT_S
