"""The page on who is told what names all there is."""

from pathlib import Path

from watchkeeper.core.metrics import Scope
from watchkeeper.core.telling import Kind, Why
from watchkeeper.runtime.audience import Links
from watchkeeper.runtime.payloads import Message, Payloads
from watchkeeper.storage.store import Incident

PAGE = (Path(__file__).parents[2] / "docs/who-is-told.md").read_text("utf-8")


def test_every_kind_of_message_and_every_reason_is_described():
    """Each has a row of its table."""
    assert [] == [one for one in (*Kind, *Why) if f"| `{one}` | " not in PAGE]


def test_every_key_of_a_message_is_described():
    """Those of the message, and those of each of its alerts."""
    incident = Incident(
        service="s",
        environment="e",
        rule="r",
        group="",
        severity="warning",
        state="firing",
        started_at=1.0,
    )
    payload = Payloads(Scope(service="s", environment="e"), lambda one: Links()).of(
        Message(kind=Kind.FIRING, name="r", rule=None, incidents=[incident], severity="warning")
    )

    keys = {*payload, *payload["alerts"][0]}
    assert [] == sorted(key for key in keys if f"`{key}`" not in PAGE)
