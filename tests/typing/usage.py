"""User code that is type-checked by pyright in strict mode and never run."""

from starlette.applications import Starlette

import watchkeeper
from watchkeeper import Alert, Settings, watch
from watchkeeper.app import Watchkeeper
from watchkeeper.checks import CheckState, Observed, warn
from watchkeeper.exceptions import ConfigurationError, WatchkeeperError

app = Starlette()

watched: Watchkeeper = watch(
    app,
    Settings(
        database_url="postgresql+psycopg://db/shop",
        alerts=[
            Alert(
                "Slow checkout",
                when="p95{route='/checkout'} > 800ms",
                over="5m",
                severity="critical",
            )
        ],
        channels={"oncall": {"type": "webhook", "url": "https://hooks.example/1"}},
        routing={"critical": ["oncall"]},
    ),
)

orders = watchkeeper.counter("orders_total", "Orders placed.", labels=["plan"])
orders.inc(plan="pro")
orders.inc(3, plan="free")
depth = watchkeeper.gauge("queue_depth", "Jobs that wait.", across="sum")
depth.set(4)
render = watchkeeper.histogram("pdf_render_duration_seconds", "Time to render one PDF.")
render.observe(0.2)
with render.time():
    pass


@watchkeeper.health_check("queue", scope="worker")
def queue_is_short() -> object:
    return warn("long") if orders else Observed(4, "jobs", "short", CheckState.PASS)


@watchkeeper.health_check("search", timeout="2s", critical=False)
def search_answers() -> None:
    """Return = pass, raise = fail."""


@watchkeeper.health_check("mail")
async def mail_answers() -> str:
    """A value is a detail."""
    return "12 ms"


@watchkeeper.job("nightly-report", every="24h", grace="1h")
def report(day: str, *, copies: int = 1) -> list[str]:
    """Each call is a run."""
    return [day] * copies


@watchkeeper.job("refresh", cron="*/5 * * * *", tz="Europe/Berlin")
async def refresh() -> int:
    """An async function stays one."""
    return 1


pages: list[str] = report("Monday", copies=2)


def import_orders() -> None:
    """A block is a run, too."""
    with watchkeeper.job("import"):
        with watchkeeper.span("download"):
            pass
        watchkeeper.set_user(17)
        watchkeeper.set_user("ada")
        watchkeeper.set_user(None)
        watchkeeper.tag(plan="pro", items=3, beta=None)


class Cart:
    """Methods can be timed as well."""

    @watchkeeper.timed
    def total(self, tax: float) -> float:
        """The span is called as the method is."""
        return 1.0 + tax

    @watchkeeper.timed("cart.ship")
    async def ship(self) -> str:
        """The span has this name."""
        return "shipped"

    @watchkeeper.span("cart.empty")
    def empty(self) -> None:
        """A span decorates, too."""


async def buy(cart: Cart) -> str:
    """What is decorated keeps its types."""
    amount: float = cart.total(tax=0.2)
    shipped: str = await cart.ship()
    fresh: int = await refresh()
    return f"{amount} {shipped} {fresh}"


def script() -> Watchkeeper:
    """Without an application, for scripts and workers."""
    try:
        watchkeeper.watch(None, Settings(service="script"))
        watched = watchkeeper.watch(settings=Settings(service="script"))
    except ConfigurationError:
        return watchkeeper.watch()
    except WatchkeeperError as error:
        raise SystemExit(str(error)) from error
    watched.flush()
    return watched


def handle(error: ValueError) -> None:
    """Report an error that was caught."""
    watchkeeper.capture_exception(error, order_id=17)
    watchkeeper.capture_exception(error, fingerprint=("billing",))


wrapped_asgi = watchkeeper.asgi(app)
