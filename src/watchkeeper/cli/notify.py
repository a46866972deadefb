"""`watchkeeper notify`: where messages go, and one real message to see that it arrives."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import click

from watchkeeper.cli.source import Source, open_existing, with_source
from watchkeeper.cli.terminal import echo, plain
from watchkeeper.cli.upkeep import moment
from watchkeeper.cli.verbs import CRITICAL, FINE
from watchkeeper.exceptions import ConfigurationError, StorageError
from watchkeeper.notify import (
    DeliveryError,
    Notification,
    Notifier,
    shown_address,
)
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.channels import open_channel
from watchkeeper.runtime.guard import guard
from watchkeeper.settings import Settings
from watchkeeper.storage.store import OutboxRow

MAX_LOOKED: Final = 1_000  # messages of a channel that are looked through for the last one
MAX_SAID: Final = 300  # characters of what a channel said
REFUSED: Final = CRITICAL
UNEXPECTED: Final = "the channel raised an unexpected exception; see the log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One channel as `notify list` shows it."""

    name: str
    type: str
    address: str  # without its secrets
    severities: tuple[str, ...]  # that are routed to it; empty: all
    last_sent_at: float | None = None
    waiting: int = 0
    last_error: str = ""
    problem: str = ""  # why it is off


@click.group()
def command() -> None:
    """Show where messages go, and send one to see that it arrives."""


@command.command()
@click.argument("channel")
@with_source
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def test(channel: str, source: Source, as_json: bool) -> int:
    """Send one real message, marked as a test, and tell what was answered.

    It goes out from here, past the outbox, and is tried once. Exit code 2: it was not taken. To a
    webhook its end goes as well, so that no receiver holds it open.
    """
    for problem in source.loaded.problems:
        echo(f"watchkeeper: {problem}", err=True)
    notifier = _opened(source.settings, channel)
    address = shown_address(notifier)
    started = time.monotonic()
    message = _message(source.settings, channel)
    error = _tried(notifier, message)
    if error is None and _keeps_alerts(source.settings.channels[channel]):
        error = _tried(notifier, _end_of(message))
    seconds = time.monotonic() - started
    said = "" if error is None else scrubbing.text(str(error), limit=MAX_SAID)
    if as_json:
        told = {
            "channel": channel,
            "address": address,
            "delivered": error is None,
            "seconds": round(seconds, 3),
            "error": said,
            "permanent": error is not None and error.permanent,
        }
        echo(json.dumps(told))
    elif error is None:
        place = f" by {plain(address)}" if address else ""
        echo(f"✔ {channel}: taken{place} in {seconds:.1f} s; now see whether it arrived")
    else:
        echo(f"✘ {channel}: {plain(said, width=MAX_SAID)}", err=True)
    return FINE if error is None else REFUSED


@command.command("list")
@with_source
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(source: Source, as_json: bool) -> int:
    """List the channels, with masked addresses, and their last delivery."""
    rows, problem = _messages(source.settings)
    found = [
        _channel(source.settings, name, rows.get(name, ())) for name in source.settings.channels
    ]
    if as_json:
        echo(json.dumps({"channels": [asdict(one) for one in found], "problem": problem}))
        return FINE
    for line in _listed(found):
        echo(line)
    for said in (*source.loaded.problems, *([problem] if problem else [])):
        echo(f"watchkeeper: {said}", err=True)
    return FINE


def _opened(settings: Settings, name: str) -> Notifier:
    """Open a channel. Raises ConfigurationError if there is none of this name."""
    if name not in settings.channels:
        known = ", ".join(sorted(settings.channels)) or "none; see docs/notifications.md"
        raise ConfigurationError(f"there is no channel {name!r}; known: {known}")
    return open_channel(settings, name)


def _message(settings: Settings, channel: str) -> Notification:
    now = time.time()
    page = f"{settings.public_url.rstrip('/')}{settings.dashboard_prefix}/"
    return Notification(
        id=f"test-{uuid.uuid4().hex}",
        channel=channel,
        kind="test",
        at=now,
        payload={
            "rule": "Test",
            "severity": "info",
            "status": "firing",
            "service": settings.service,
            "environment": settings.environment,
            "summary": "Test: nothing is wrong, this channel is being tried",
            "started_at": now,
            "ended_at": None,
            "link": page if settings.public_url else "",
            "alerts": [],
        },
    )


def _keeps_alerts(config: object) -> bool:
    """Tell whether what takes a message may hold it for an alert that is open until its end."""
    given = config if isinstance(config, Mapping) else {}
    return given.get("type") == "webhook" and given.get("body", "alertmanager") == "alertmanager"


def _end_of(message: Notification) -> Notification:
    payload = {
        **message.payload,
        "status": "resolved",
        "summary": "Test: over; this channel has been tried",
        "ended_at": message.at,
    }
    return replace(message, id=f"{message.id}-end", payload=payload)


def _tried(notifier: Notifier, notification: Notification) -> DeliveryError | None:
    """Send once; return why it was not taken, or None."""
    error = DeliveryError(UNEXPECTED)
    with guard(f"channel {notification.channel}", of_host=True):
        try:
            notifier.send(notification)
        except DeliveryError as raised:
            error = raised
        else:
            return None
    return error


def _messages(settings: Settings) -> tuple[dict[str, list[OutboxRow]], str]:
    """Return the newest messages of each channel, or none and why."""
    try:
        store = open_existing(settings)
    except StorageError as error:
        return {}, str(error)
    scope = (settings.service, settings.environment)
    try:
        return {
            name: store.outbox(channel=name, scope=scope, limit=MAX_LOOKED)
            for name in settings.channels
        }, ""
    finally:
        store.close()


def _channel(settings: Settings, name: str, rows: Sequence[OutboxRow]) -> Channel:
    """Describe a channel, from its settings and its newest messages, the newest first."""
    config = settings.channels[name]
    kind = config.get("type", "") if isinstance(config, Mapping) else type(config).__name__
    address, problem = "", ""
    try:
        address = shown_address(open_channel(settings, name))
    except ConfigurationError as error:
        problem = str(error)
    errors = (row.last_error for row in rows if row.last_error and row.status != "sent")
    return Channel(
        name=name,
        type=str(kind),
        address=address,
        severities=tuple(
            severity for severity, names in settings.routing.items() if name in names
        ),
        last_sent_at=max((row.sent_at for row in rows if row.sent_at is not None), default=None),
        waiting=sum(row.status == "due" for row in rows),
        last_error=next(errors, ""),
        problem=problem,
    )


def _listed(found: list[Channel]) -> Iterator[str]:
    if not found:
        yield "no channels: nobody is told; see docs/notifications.md"
        return
    yield f"{'CHANNEL':<16}  {'TYPE':<10}  {'LAST SENT (UTC)':<16}  {'WAITING':>7}  TO"
    for one in found:
        yield (
            f"{plain(one.name, width=16):<16}  {plain(one.type, width=10):<10}  "
            f"{moment(one.last_sent_at):<16}  {one.waiting:>7,}  "
            f"{plain(one.problem or one.address)}"
        )
        if one.last_error:
            yield f"{'':<16}  ✘ {plain(one.last_error)}"
