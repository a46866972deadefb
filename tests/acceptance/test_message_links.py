"""From a message to its incident: a real application, an alert, and the links of its message."""

import time
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

import pytest
from kept import object_of, run_process
from processes import get, until, uvicorn

from watchkeeper.storage import open_store
from watchkeeper.storage.store import OutboxRow

APP = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from watchkeeper import Alert, Settings, watch

async def fail(request):
    return PlainTextResponse("no", status_code=500)

app = Starlette(routes=[Route("/fail", fail)])
watch(app, Settings(
    service="shop",
    environment="test",
    database_url="watchkeeper.db",
    public_url="https://shop.example",
    password="made up for this test",
    slot="1s",
    flush_jitter="0s",
    channels={"ops": {"type": "log"}},
    alert_pack=False,
    alerts=[Alert("Failing", when="error_rate > 5%", over="10s", sure=False)],
    enabled=True,
))
"""
HERE = ("--service", "shop", "--environment", "test")


@pytest.mark.slow
def test_a_link_of_a_message_acknowledges_and_silences(tmp_path: Path):
    """Following the links shows the incident; sending their forms acts, and the verbs tell it."""
    (tmp_path / "shop.py").write_text(APP)
    store = open_store(f"sqlite:///{tmp_path / 'watchkeeper.db'}")
    store.migrate()
    with uvicorn("shop:app", folder=tmp_path, ready="/watchkeeper/livez") as server:

        def told() -> list[OutboxRow]:
            get(f"{server.url}/fail")
            return store.outbox(limit=9)

        assert until(told)
        payload = told()[0].payload
        ack, silence = (
            server.url + urlsplit(payload[link])._replace(scheme="", netloc="").geturl()
            for link in ("ack_link", "silence_link")
        )

        assert get(ack)[0] == get(silence)[0] == 200
        assert b"Failing" in get(ack)[2]
        assert post(ack, name="ada", note="on it") == 200
        assert post(silence, name="ada", **{"for": "4h"}) == 200
    alerts = object_of(run_process("alerts", "--json", *HERE, folder=tmp_path))["alerts"]
    silences = object_of(run_process("silence", "list", "--json", *HERE, folder=tmp_path))[
        "silences"
    ]
    store.close()

    assert payload["ack_link"].startswith("https://shop.example/watchkeeper/ack?t=")
    assert ["ada"] == [one["acknowledged"]["by"] for one in alerts]
    assert [{"rule": ["Failing"]}] == [one["matchers"] for one in silences]
    assert 0 < silences[0]["until"] - time.time() <= 4 * 3_600


def post(link: str, **fields: str) -> int:
    """Send the form that a link shows; the status of the answer."""
    address, _, token = link.partition("?t=")
    body = urlencode({"t": token, **fields}).encode()
    with urlopen(Request(address, data=body), timeout=10) as answer:  # loopback
        return int(answer.status)
