"""The page on notifications names every channel type, key, kind and field, and its code runs."""

import base64
import re
import time
from pathlib import Path

import pytest

from watchkeeper.notify import TYPES, Notification, apprise, smtp, webhook
from watchkeeper.notify.alertmanager import body
from watchkeeper.notify.signing import standard_headers

PAGE = (Path(__file__).parents[2] / "docs/notifications.md").read_text("utf-8")
KEYS = {
    "email": smtp.KEYS,
    "webhook": webhook.KEYS,
    "slack": webhook.SHORT_KEYS,
    "teams": webhook.SHORT_KEYS,
    "discord": webhook.SHORT_KEYS,
    "apprise": apprise.KEYS,
    "log": (),
}


def section(heading: str) -> str:
    """Return what stands under a heading of the second level."""
    found = re.search(
        rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL
    )
    assert found is not None, heading
    return found[1]


def code(name: str) -> str:
    """Return the block of Python that defines a name."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if name in block]
    return found


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_of_channel_has_its_heading_and_its_keys(kind: str):
    """Each type has a section, in which each of its keys begins a row."""
    rows = " ".join(
        line.split("|")[1] for line in section(kind).splitlines() if line.startswith("| `")
    )

    assert [] == [key for key in KEYS[kind] if f"`{key}`" not in rows]
    assert set(KEYS[kind]) == set(re.findall(r"`([a-z_]+)`", rows))


@pytest.mark.parametrize("kind", [one.value for one in webhook.Body] + ["starttls", "tls"])
def test_every_choice_is_documented(kind: str):
    """Each value that a key may have stands on the page."""
    assert f"`{kind}`" in PAGE


def test_every_kind_of_message_is_documented():
    """The kinds in the contract of a notification are the rows of the table."""
    contract = (Notification.__doc__ or "").partition("`payload` holds")[0]
    kinds = set(re.findall(r'"([a-z]+)"', contract))

    assert kinds == set(
        re.findall(r"^\| `([a-z]+)` \|", section("What a message says"), re.MULTILINE)
    )


def test_every_field_of_our_key_is_documented():
    """What a receiver finds under `watchkeeper` stands in the section on webhooks."""
    ours = body(Notification(id="m", channel="c", kind="firing", at=0.0))["watchkeeper"]
    fields = {*ours, *ours["links"], *ours["counts"], "after_s"}

    assert [] == [name for name in fields if f"`{name}`" not in section("webhook")]


def test_the_snippet_for_receivers_accepts_ours_and_nothing_else():
    """The code of the page tells a message of ours from a changed, an old and a foreign one."""
    space: dict[str, object] = {}
    exec(code("def is_ours"), space)  # noqa: S102  # the page's own code
    is_ours = space["is_ours"]
    key = b"k" * 32
    secret = "whsec_" + base64.b64encode(key).decode()
    now = int(time.time())

    def signed(at: int, by: bytes = key) -> dict[str, str]:
        return standard_headers((by,), message_id="msg_1", timestamp=at, body=b"{}")

    assert callable(is_ours)
    assert is_ours(secret, signed(now), b"{}")
    assert not is_ours(secret, signed(now), b"{ }")
    assert not is_ours(secret, {**signed(now), "webhook-id": "msg_2"}, b"{}")
    assert not is_ours(secret, signed(now - 600), b"{}")
    assert not is_ours(secret, signed(now, by=b"o" * 32), b"{}")
