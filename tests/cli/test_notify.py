"""`watchkeeper notify` as a process, against real receivers."""

import json
import time
from pathlib import Path

import pytest
from kept import object_of, run, run_process
from mail_servers import MailServer
from receivers import Receiver
from servers import free_port

from watchkeeper.storage import open_store
from watchkeeper.storage.store import AlertChange, AlertRow, Incident, Outgoing


def configure(folder: Path, **channels: dict[str, object]) -> None:
    """Write a file with channels."""
    lines = ['service = "shop"', 'public_url = "https://shop.example"']
    for name, options in channels.items():
        lines.append(f"[channels.{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in options.items()]
    (folder / "watchkeeper.toml").write_text("\n".join(lines), "utf-8")


def test_a_test_message_arrives_and_says_what_it_is(tmp_path: Path):
    """One real message goes out, and nobody can take it for an alert."""
    with Receiver() as receiver:
        configure(tmp_path, oncall={"type": "webhook", "url": receiver.url})

        done = run("notify", "test", "oncall", folder=tmp_path)

        body, end = (one.json() for one in receiver.received)
    assert ("firing", "resolved") == (body["status"], end["status"])
    assert body["alerts"][0]["fingerprint"] == end["alerts"][0]["fingerprint"]
    assert (0, "") == (done.returncode, done.stderr)
    assert f"✔ oncall: taken by http://127.0.0.1:{receiver.port}/*** in " in done.stdout
    assert "test" == body["watchkeeper"]["kind"]
    assert "Test: nothing is wrong" in body["commonAnnotations"]["summary"]
    assert "https://shop.example/watchkeeper" == body["externalURL"]


def test_a_test_mail_reads_as_a_test(tmp_path: Path):
    """The subject says so, and the mail has no incident in it."""
    with MailServer() as server:
        configure(
            tmp_path,
            team={"type": "email", "to": ["team@example.org"], "port": server.port},
        )

        told = object_of(run("notify", "test", "team", "--json", folder=tmp_path))

    assert "Test: this channel works, shop (production)" == server.mails[0].message["Subject"]
    assert {"channel", "address", "delivered", "seconds", "error", "permanent"} == set(told)
    assert (True, "", False) == (told["delivered"], told["error"], told["permanent"])
    assert f"t…@example.org by localhost:{server.port}" == told["address"]


@pytest.mark.parametrize(("status", "permanent"), [(503, False), (403, True)])
def test_what_was_answered_is_told(tmp_path: Path, status: int, permanent: bool):
    """Exit code 2, the answer on standard error, and no secret of the address."""
    with Receiver() as receiver:
        receiver.answer(status)
        url = receiver.url.replace("hook", "T0/hush")
        configure(tmp_path, oncall={"type": "slack", "url": url})

        done = run("notify", "test", "oncall", folder=tmp_path)
        told = json.loads(run("notify", "test", "oncall", "--json", folder=tmp_path).stdout)

    assert 2 == done.returncode
    assert f"✘ oncall: 127.0.0.1:{receiver.port}: answered {status}\n" == done.stderr
    assert (False, permanent) == (told["delivered"], told["permanent"])
    assert "hush" not in done.stdout + done.stderr + json.dumps(told)


def test_nobody_there(tmp_path: Path):
    """A receiver that is away is a refusal like any other: exit code 2."""
    configure(tmp_path, oncall={"type": "webhook", "url": f"http://127.0.0.1:{free_port()}/"})

    done = run("notify", "test", "oncall", folder=tmp_path)

    assert 2 == done.returncode
    assert "Connection refused" in done.stderr


def test_a_class_of_the_user_that_breaks_is_told_in_a_line(tmp_path: Path):
    """An own channel may raise anything; the verb says so and exits with 2."""
    (tmp_path / "shop_channels.py").write_text(
        "class Broken:\n    def send(self, notification):\n        raise KeyError('hush')\n"
    )
    configure(tmp_path, own={"type": "shop_channels:Broken"})

    done = run_process(
        "notify", "test", "own", folder=tmp_path, environ={"PYTHONPATH": str(tmp_path)}
    )

    assert 2 == done.returncode
    assert "✘ own: the channel raised an unexpected exception" in done.stderr


def test_a_channel_that_is_not_there(tmp_path: Path):
    """Wrong usage, with the names that are known."""
    configure(tmp_path, oncall={"type": "log"}, team={"type": "log"})

    done = run("notify", "test", "onkall", folder=tmp_path)

    assert 64 == done.returncode
    assert "watchkeeper: there is no channel 'onkall'; known: oncall, team\n" == done.stderr


def test_a_channel_that_is_wrong(tmp_path: Path):
    """A wrong setting is wrong usage, with its cure."""
    configure(tmp_path, oncall={"type": "slack"})

    done = run("notify", "test", "oncall", folder=tmp_path)

    assert 64 == done.returncode
    assert "channels.oncall.url: missing" in done.stderr


def keep_messages(folder: Path, channel: str, *, now: float) -> None:
    """Keep two messages of an incident: one that was sent, and one that still waits."""
    store = open_store(str(folder / "watchkeeper.db"))
    store.migrate()
    row = AlertRow(
        service="shop", environment="production", rule="A", group="", state="firing", data={}
    )
    incident = Incident(
        service="shop",
        environment="production",
        rule="A",
        group="",
        severity="warning",
        state="firing",
        started_at=now,
    )
    outgoing = [
        Outgoing(kind=kind, sequence=0, channel=channel, payload={}, due_at=now)
        for kind in ("firing", "reminder")
    ]
    store.save_alert(AlertChange(row=row, incident=incident, outgoing=outgoing), at=now)
    first, second = store.claim(at=now, hold_s=60, channels=[channel], limit=2)
    store.settle(first, status="sent", at=now + 1)
    store.settle(second, status="due", at=now + 1, next_try_at=now + 9, error="answered 503")
    store.close()


def test_the_list_shows_channels_with_their_last_delivery(tmp_path: Path):
    """Masked addresses, when something was last sent, what waits, and why."""
    now = time.time()
    keep_messages(tmp_path, "chat", now=now)
    configure(
        tmp_path,
        chat={"type": "slack", "url": "https://hooks.example/services/T0/hush"},
        team={"type": "email", "to": "ann@example.org"},
        off={"type": "slack"},
    )

    told = object_of(run("notify", "list", "--json", folder=tmp_path))
    shown = run("notify", "list", folder=tmp_path).stdout

    chat, team, off = told["channels"]
    assert ("chat", "slack", "https://hooks.example/***") == (
        chat["name"],
        chat["type"],
        chat["address"],
    )
    assert abs(now + 1 - chat["last_sent_at"]) < 1
    assert (1, "answered 503") == (chat["waiting"], chat["last_error"])
    assert (None, 0, "a…@example.org by localhost:25") == (
        team["last_sent_at"],
        team["waiting"],
        team["address"],
    )
    assert "channels.off.url: missing" in off["problem"]
    assert "https://hooks.example/***" in shown
    assert "✘ answered 503" in shown
    assert "hush" not in shown + json.dumps(told)
    assert "ann@" not in shown + json.dumps(told)


def test_the_list_without_a_database_or_channels(tmp_path: Path):
    """What is set can be seen before the application first ran."""
    done = run("notify", "list", folder=tmp_path)

    assert 0 == done.returncode
    assert "no channels: nobody is told" in done.stdout
    assert "there is no database" in done.stderr


def test_a_variable_that_is_missing_is_named(tmp_path: Path):
    """Whoever forgot to export it is told which, not that an address is wrong."""
    (tmp_path / "watchkeeper.toml").write_text(
        '[channels.oncall]\ntype = "webhook"\nurl = "env:NO_SUCH_URL"\n'
    )

    listed = run("notify", "list", folder=tmp_path)
    tried = run("notify", "test", "oncall", folder=tmp_path)

    assert "there is no environment variable NO_SUCH_URL" in listed.stderr
    assert "channels.oncall.url: is empty" in listed.stdout
    assert "there is no environment variable NO_SUCH_URL" in tried.stderr
