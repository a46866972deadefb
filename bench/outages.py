"""What becomes of messages while a receiver is away, a process is killed, or a worker starts anew.

python bench/outages.py URL away refused 60      seconds from being back to delivered, as JSON
python bench/outages.py URL inside               messages about an incident inside an outage
python bench/outages.py URL killed 4             copies more after kill -9 while firing
python bench/outages.py URL pending 30           seconds until a held alert fires over a restart
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import children
import crossings
import databases
import goals
import shops

KINDS: Final = ("refused", "503", "hanging", "400")
BACK_S: Final = {"refused": 5.0, "503": 5.0, "hanging": 15.0, "400": 60.0}
PER_S: Final = 20.0
GOOD_S: Final = 3.0
FAILING: Final = 0.5
AFTER_S: Final = 25.0  # in which a copy would come: two slots and more
WITHIN_S: Final = 90.0
RESTART_S: Final = 2.0
SLOT_S: Final = 10.0
BRIEF: Final = {**shops.PLAIN, "over": "20s", "keep": "10s"}  # so that it is over soon
WORKERS: Final = (1, 4)


def measure(place: databases.Place, *, away_s: float, hold_s: float) -> dict[str, Any]:
    """Measure each, those that mostly wait at the same time."""
    with (
        place.database("refused") as a,
        place.database("answered") as b,
        place.database("hanging") as c,
        place.database("bad") as d,
        place.database("inside") as e,
    ):
        waits = [
            (url, "away", kind, away_s) for url, kind in zip((a, b, c, d), KINDS, strict=True)
        ]
        found = children.together("outages.py", [*waits, (e, "inside")])
    killed = {}
    for workers in WORKERS:
        with place.database("killed") as url:
            killed[str(workers)] = children.measured("outages.py", url, "killed", workers)
    with place.database("pending") as url:
        pending = children.measured("outages.py", url, "pending", hold_s)
    return {
        "away_s": away_s,
        "back": {
            kind: goals.at_most(BACK_S[kind], one["back_s"], "s")
            for kind, one in zip(KINDS, found, strict=False)
        },
        "inside": {
            "messages": goals.at_most(1, found[-1]["messages"], "messages"),
            "with_start_and_end": goals.at_least(1, found[-1]["with_start_and_end"], "messages"),
            "firing_though_over": goals.at_most(0, found[-1]["firing_though_over"], "messages"),
        },
        "killed": {
            workers: goals.at_most(0, one["more"], "messages") for workers, one in killed.items()
        },
        "pending": {
            "hold_s": hold_s,
            "away_s": pending["away_s"],
            "fired_after_s": goals.at_most(
                hold_s + pending["away_s"] + 1.5 * SLOT_S, pending["fired_after_s"], "s"
            ),
        },
    }


@contextmanager
def serving(url: str, receiver: shops.Receiver, **settings: Any) -> Iterator[shops.Shop]:
    """Serve a shop of one worker, unless said otherwise, that tells a receiver."""
    deployment = shops.Deployment(workers=settings.pop("workers", 1))
    with tempfile.TemporaryDirectory() as folder:
        shop = shops.Shop(
            Path(folder), url, deployment, channels=shops.webhook(receiver), **settings
        )
        with shop:
            yield shop


def away(url: str, kind: str, away_s: float) -> dict[str, float]:
    """Be away when the alert fires, and for a while; how long after that it is delivered."""
    leave, come_back = _absence(kind)
    with shops.Receiver() as receiver, serving(url, receiver) as shop:
        leave(receiver)
        with shops.Load(shop.urls, per_s=PER_S) as load:
            time.sleep(GOOD_S)
            load.failing = FAILING
            shops.until(lambda: shop.statuses()["firing due"], within_s=WITHIN_S)
            load.failing = 0.0
        time.sleep(away_s)
        back_at = time.time()
        come_back(receiver)
        shops.until(lambda: shop.statuses()["firing sent"], within_s=WITHIN_S, every_s=0.05)
        with shops.opened(url) as store:
            (row,) = (one for one in store.outbox(limit=9) if one.kind == "firing")
        return {"back_s": round((row.sent_at or time.time()) - back_at, 3)}


def _absence(kind: str) -> tuple[Callable[[Any], None], Callable[[Any], None]]:
    if kind == "refused":
        return shops.Receiver.refuse, shops.Receiver.accept
    if kind == "hanging":
        return shops.Receiver.hang, shops.Receiver.release
    return lambda receiver: receiver.answer(int(kind)), lambda receiver: receiver.answer(200)


def inside(url: str) -> dict[str, int]:
    """Let an incident begin and end while the receiver is away; what arrives afterwards."""
    with shops.Receiver() as receiver, serving(url, receiver, alerts=[BRIEF]) as shop:
        receiver.refuse()
        with shops.Load(shop.urls, per_s=PER_S) as load:
            time.sleep(GOOD_S)
            load.failing = FAILING
            shops.until(lambda: shop.statuses()["firing due"], within_s=WITHIN_S)
            load.failing = 0.0
            shops.until(lambda: shop.statuses()["resolved due"], within_s=WITHIN_S)
        receiver.accept()
        shops.until(lambda: receiver.received, within_s=WITHIN_S)
        time.sleep(10.0)
        alerts = [one.json()["alerts"][0] for one in receiver.received]
    ended = [one for one in alerts if one["status"] == "resolved"]
    return {
        "messages": len(alerts),
        "with_start_and_end": sum(one["startsAt"] < one["endsAt"] for one in ended),
        "firing_though_over": len(alerts) - len(ended),
    }


def killed(url: str, workers: int) -> dict[str, int]:
    """Kill every process while the alert fires and start anew; how many copies come of it."""
    with shops.Receiver() as receiver, serving(url, receiver, workers=workers) as shop:
        with shops.Load(shop.urls, per_s=PER_S) as load:
            time.sleep(GOOD_S)
            load.failing = FAILING
            before = len(shops.wait_told(receiver, "firing", within_s=WITHIN_S))
            shops.until(lambda: shop.statuses()["firing sent"], within_s=WITHIN_S)
            shop.kill()
            time.sleep(RESTART_S)
            shop.start()
            time.sleep(AFTER_S)
        return {"before": before, "more": len(shops.told(receiver, "firing")) - 1}


def pending(url: str, hold_s: float) -> dict[str, float]:
    """Restart shortly before a held alert fires; how long after the crossing it does."""
    rule = {**shops.PLAIN, "hold": f"{hold_s:g}s"}
    with shops.Receiver() as receiver, serving(url, receiver, alerts=[rule]) as shop:
        with shops.Load(shop.urls, per_s=PER_S) as load:
            time.sleep(GOOD_S)
            load.failing = FAILING
            time.sleep(hold_s * 0.8)
            left_at = time.time()
            shop.kill()
            time.sleep(RESTART_S)
            shop.start()
            away_s = time.time() - left_at
            told = shops.wait_told(receiver, "firing", within_s=2 * hold_s + WITHIN_S)
        crossed_at = crossings.plain(load.answers) or left_at
    fired_at = told[0].at if told else crossed_at + 2 * hold_s + WITHIN_S
    return {"away_s": round(away_s, 1), "fired_after_s": round(fired_at - crossed_at, 2)}


if __name__ == "__main__":
    _, where, which, *rest = sys.argv
    if which == "away":
        print(json.dumps(away(where, rest[0], float(rest[1]))))
    elif which == "inside":
        print(json.dumps(inside(where)))
    elif which == "killed":
        print(json.dumps(killed(where, int(rest[0]))))
    else:
        print(json.dumps(pending(where, float(rest[0]))))
