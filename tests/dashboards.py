"""A made shop for the dashboard's tests: a filled store, a clock that stands, a WSGI server."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from io import BytesIO
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from watchkeeper.core import catalogue
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import Metric, Scope, Series
from watchkeeper.core.pack import PACK
from watchkeeper.core.rule import Rule
from watchkeeper.core.slot import Frame, FrameKey, Gauge, Value
from watchkeeper.dashboard.http import Request, Response
from watchkeeper.dashboard.routes import Dashboard
from watchkeeper.runtime.health import Health
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.settings import Settings
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import (
    AlertChange,
    AlertRow,
    Batch,
    Event,
    Incident,
    IssueCount,
    Store,
)

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC, a whole minute
SCOPE = Scope(service="shop-api", environment="production", release="v2.31")
ROUTES = (
    # method, route, requests a minute, median seconds
    ("GET", "/", 300, 0.012),
    ("GET", "/search", 180, 0.090),
    ("GET", "/products/{sku}", 240, 0.030),
    ("POST", "/checkout", 60, 0.140),
    ("GET", "/cart", 90, 0.025),
)


def series(metric: Metric, scope: Scope = SCOPE, **labels: str) -> Series:
    """Return a metric's series with the scope's labels among its own."""
    pairs = tuple(sorted((*scope.labels, *labels.items())))
    return Series(metric.name, metric.kind, pairs, metric.across)


def requests(
    seconds: Sequence[float], *, method: str = "GET", route: str = "/", status: str = "200"
) -> dict[Series, Value]:
    """Return the values of a frame that holds requests of one route."""
    labels = {"method": method, "route": route, "status": status}
    return {series(catalogue.HTTP_DURATION, **labels): Histogram(seconds)}


def minute(start: float, values: Mapping[Series, Value], *, sequence: int = 0) -> Frame:
    """Return the minute frame that begins at `start`."""
    return Frame(key=FrameKey(60, int(start), 0, sequence), values=values)


def slot(start: float, values: Mapping[Series, Value], *, worker: int = 1) -> Frame:
    """Return the 10-s frame that begins at `start`."""
    return Frame(key=FrameKey(10, int(start), worker, 0), values=values)


@dataclass(kw_only=True)
class Watched:
    """What the dashboard asks of a Watchkeeper, with a clock that tests move by hand."""

    store: Store | None
    settings: Settings
    scope: Scope = SCOPE
    failure: str = ""
    problems: list[str] = field(default_factory=list)
    now: float = NOW
    recorder: Recorder = field(default_factory=lambda: Recorder(SCOPE))
    health: Health = field(default_factory=lambda: Health((), clock=lambda: NOW))
    rules: Sequence[Rule] = PACK

    @property
    def clock(self) -> Callable[[], float]:
        """Tell the made time."""
        return lambda: self.now


def watched(store: Store | None, *, now: float = NOW, **given: Any) -> Watched:
    """Return a made Watchkeeper over a store, whose door stands open unless settings say more."""
    given = given or {"open_access": True}
    settings = Settings(service=SCOPE.service, environment=SCOPE.environment, **given)
    return Watched(store=store, settings=settings, now=now)


class Browser:
    """A plain client of the handler: keeps cookies, follows nothing, speaks for one machine."""

    def __init__(self, wk: Watched, *, root: str = "/watchkeeper", scheme: str = "http") -> None:
        self.dashboard = Dashboard(wk)
        self.root = root
        self.scheme = scheme
        self.cookies: dict[str, str] = {}

    def get(self, address: str, **headers: str) -> Response:
        """Ask for a page below the root."""
        return self.send("GET", address, **headers)

    def post(self, address: str, body: str, **headers: str) -> Response:
        """Send a form."""
        return self.send("POST", address, body=body.encode(), **headers)

    def send(self, method: str, address: str, *, body: bytes = b"", **headers: str) -> Response:
        """Send any request and take up the cookies of the answer."""
        path, _, query = address.partition("?")
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        response = self.dashboard.handle(
            Request(
                method=method,
                root=self.root,
                path=path,
                query=query,
                headers={
                    "host": "127.0.0.1:8000",
                    "cookie": cookie,
                    **{name.replace("_", "-"): value for name, value in headers.items()},
                },
                body=body,
                scheme=self.scheme,
                client="127.0.0.1",
            )
        )
        for name, value in response.headers:
            if name == "set-cookie":
                key, _, content = value.partition(";")[0].partition("=")
                self.cookies[key] = content
                if "Max-Age=0" in value:
                    del self.cookies[key]
        return response


def header(response: Response, name: str) -> str:
    """Return the first header of that name, or the empty text."""
    return next((value for key, value in response.headers if key == name), "")


def text(response: Response) -> str:
    """Return a page as text."""
    return response.body.decode()


def made_shop(*, now: float = NOW, incident: bool = True) -> MemoryStore:
    """Return a store in memory that holds the shop's last two hours."""
    store = MemoryStore()
    fill(store, now=now, incident=incident)
    return store


def fill(store: Store, *, now: float = NOW, incident: bool = True) -> None:
    """Fill a store: two hours of minutes, the last two minutes as slots, errors, an incident."""
    workers = [
        store.register(SCOPE, host=f"web-{number}", pid=310 + number, at=now - 7_200).id
        for number in (1, 2)
    ]
    minutes, slots = _history(now, incident)
    store.add_frames(minutes)
    for frame in slots:
        at = min(frame.key.start + 11.0, now - 1)
        key = replace(frame.key, worker=workers[frame.key.worker - 1])
        store.write(Batch(scope=SCOPE, frame=replace(frame, key=key), at=at))
    if incident:
        add_issues(store, now=now, worker=workers[0])
        fire(store, now=now)
    store.mark_evaluated(service=SCOPE.service, environment=SCOPE.environment, at=now - 1)


@cache
def _history(now: float, incident: bool) -> tuple[tuple[Frame, ...], tuple[Frame, ...]]:
    """Make the shop's minutes and slots, once per test run: nothing changes a frame."""
    chance = random.Random(7)  # noqa: S311  # made traffic, no secret
    rolled = int(now) // 60 * 60 - 120
    minutes = tuple(
        minute(start, _traffic(chance, start, now=now, seconds=60, incident=incident))
        for start in range(rolled - 7_200, rolled, 60)
        if not rolled - 4_500 <= start < rolled - 4_200  # a gap: the shop was not running
    )
    slots = tuple(
        slot(
            start,
            _traffic(chance, start, now=now, seconds=10, incident=incident, worker=worker),
            worker=worker,
        )
        for start in range(rolled, int(now) // 10 * 10, 10)
        for worker in (1, 2)
    )
    return minutes, slots


def _traffic(
    chance: random.Random,
    start: int,
    *,
    now: float,
    seconds: int,
    incident: bool,
    worker: int = 0,
) -> dict[Series, Value]:
    values: dict[Series, Value] = {}
    bad = incident and start >= now - 900
    for method, route, a_minute, median in ROUTES:
        wave = 1 + 0.25 * ((start % 3_600) / 1_800 - 1) * (1 if route != "/cart" else -1)
        count = max(int(a_minute * seconds / 60 * wave * chance.uniform(0.9, 1.1)), 1)
        count = count if not worker else max(count // 2, 1)
        slow = 9.0 if bad and route == "/checkout" else 1.0
        spent = [chance.lognormvariate(0, 0.55) * median * slow for _ in range(count)]
        failed = int(count * 0.4) if bad and route == "/checkout" else int(count * 0.004)
        if failed:
            values |= requests(spent[:failed], method=method, route=route, status="500")
        values |= requests(spent[failed:], method=method, route=route)
    load = (0.71 if bad else 0.34) + chance.uniform(-0.04, 0.04)
    values[series(catalogue.HOST_CPU, host="web-1")] = _steady(load)
    values[series(catalogue.HOST_MEMORY, host="web-1")] = _steady(0.46 + (start % 7_200) / 144_000)
    for number in (1, 2) if not worker else (worker,):
        cpu = series(catalogue.PROCESS_CPU, host="web-1", worker=str(number))
        values[cpu] = _steady(load * 0.6)
    return values


def _steady(value: float) -> Gauge:
    return Gauge(value, value, value)


STACK: dict[str, Any] = {
    "type": "PaymentTimeout",
    "message": "gateway did not answer in 3 s",
    "frames": [
        {
            "module": "starlette.routing",
            "function": "handle",
            "file": "starlette/routing.py",
            "line": 290,
            "app": False,
            "source": [[290, "        await self.app(scope, receive, send)"]],
        },
        {
            "module": "anyio.to_thread",
            "function": "run_sync",
            "file": "anyio/to_thread.py",
            "line": 56,
            "app": False,
            "source": [],
        },
        {
            "module": "shop.views",
            "function": "checkout",
            "file": "shop/views.py",
            "line": 41,
            "app": True,
            "source": [
                [40, "    order = Order.open(cart)"],
                [41, "    payments.charge(order)"],
                [42, "    return redirect(order)"],
            ],
        },
        {
            "module": "shop.payments",
            "function": "charge",
            "file": "shop/payments.py",
            "line": 88,
            "app": True,
            "source": [
                [86, "        session = self.pool.get()"],
                [87, "        if not session.ask(order, timeout=t):"],
                [88, '            raise PaymentTimeout(f"gateway did not answer in {t} s")'],
                [89, "        return session.receipt"],
            ],
        },
        {
            "module": "tenacity",
            "function": "__call__",
            "file": "tenacity/__init__.py",
            "line": 410,
            "app": False,
            "source": [],
        },
    ],
    "omitted": 0,
    "causes": [
        {
            "type": "TimeoutError",
            "message": "timed out",
            "relation": "cause",
            "frames": [
                {
                    "module": "socket",
                    "function": "recv_into",
                    "file": "socket.py",
                    "line": 706,
                    "app": False,
                    "source": [],
                }
            ],
        }
    ],
    "context": {"order_id": "o-4711", "plan": {"name": "pro"}},
    "request": {"method": "POST", "route": "/checkout", "status": 500, "worker": "3"},
    "why": ["type: shop.payments.PaymentTimeout", "place: shop.payments:charge", "1: raise"],
}


def add_issues(store: Store, *, now: float, worker: int) -> None:
    """Write three issues with their counts and one event each."""
    made = (
        (
            "1:00000000000000aa",
            "shop.payments.PaymentTimeout",
            "PaymentTimeout: gateway did not answer in <n> s",
            "shop.payments:charge",
            840,
            24,
        ),
        ("1:00000000000000bb", "KeyError", "KeyError: 'sku'", "shop.catalogue:price_of", 3_000, 3),
        (
            "1:00000000000000cc",
            "ValueError",
            "ValueError: could not convert string to float: 'twelve'",
            "shop.util:to_number",
            3_400,
            1,
        ),
    )
    for number, (fingerprint, kind, title, culprit, since_s, count) in enumerate(made, 1):
        for step in range(0, since_s, 120):
            at = int(now - since_s + step) // 10 * 10
            found = IssueCount(
                fingerprint=fingerprint,
                count=count,
                first_at=at,
                last_at=at + 5,
                type=kind,
                title=title,
                culprit=culprit,
            )
            event = Event(
                id=f"{number:016x}{step:016x}",
                fingerprint=fingerprint,
                at=at + 1,
                method="POST",
                route="/checkout",
                status=500,
                release=SCOPE.release,
                request_id="req-77",
                data={**STACK, "type": kind},
            )
            frame = Frame(key=FrameKey(10, at, worker, 100 * number))
            # A heartbeat of the time itself: making history must not make the data look fresh.
            store.write(Batch(scope=SCOPE, frame=frame, at=at + 1, issues=[found], events=[event]))


def fire(
    store: Store,
    *,
    now: float,
    rule: str = "High error rate",
    severity: str = "critical",
    group: str = "",
    summary: str = "High error rate: 7.4 % (31 of 420 in 1 min) > 5 %",
) -> None:
    """Let an alert fire, 15 minutes ago."""
    row = AlertRow(
        service=SCOPE.service,
        environment=SCOPE.environment,
        rule=rule,
        group=group,
        state="firing",
        data={},
    )
    incident = Incident(
        service=SCOPE.service,
        environment=SCOPE.environment,
        rule=rule,
        group=group,
        severity=severity,
        state="firing",
        started_at=now - 900,
        fired_at=now - 897,
        value=0.074,
        peak=0.091,
        data={"threshold": 0.05, "summary": summary},
    )
    assert store.save_alert(AlertChange(row=row, incident=incident), at=now - 897)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@contextmanager
def served(wk: Watched, *, root: str = "/watchkeeper") -> Iterator[str]:
    """Serve a dashboard over HTTP on loopback; the address of its root."""
    dashboard = Dashboard(wk)

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ.get("PATH_INFO", "")
        if not path.startswith(root):
            start_response("404 Not Found", [("Content-Length", "0")])
            return [b""]
        length = int(environ.get("CONTENT_LENGTH") or 0)
        headers = {
            key[5:].replace("_", "-").lower(): value
            for key, value in environ.items()
            if key.startswith("HTTP_")
        }
        response = dashboard.handle(
            Request(
                method=environ["REQUEST_METHOD"],
                root=root,
                path=path[len(root) :],
                query=environ.get("QUERY_STRING", ""),
                headers=headers,
                body=environ.get("wsgi.input", BytesIO()).read(length) if length else b"",
                client=environ.get("REMOTE_ADDR", ""),
            )
        )
        sized = [*response.headers, ("content-length", str(len(response.body)))]
        start_response(f"{response.status} .", sized)
        return [response.body]

    server = make_server("127.0.0.1", 0, application, handler_class=_Quiet)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{root}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
