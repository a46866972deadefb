"""User code that is type-checked by pyright in strict mode and never run."""

from starlette.applications import Starlette

import watchkeeper
from watchkeeper import Alert, Settings, Watchkeeper, watch

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


@watchkeeper.health_check("search", timeout="2s", critical=False)
def search_answers() -> None:
    """Return = pass, raise = fail."""


@watchkeeper.health_check("mail")
async def mail_answers() -> str:
    """A value is a detail."""
    return "12 ms"


def handle(error: ValueError) -> None:
    """Report an error that was caught."""
    watchkeeper.capture_exception(error, order_id=17)
    watchkeeper.capture_exception(error, fingerprint=("billing",))


wrapped_asgi = watchkeeper.asgi(app)
