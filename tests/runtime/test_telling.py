"""Telling people on real stores: once, to the right ones, and with a reason where not."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.alerted import NOON, Shop, rule
from tests.stored import SHOP

from watchkeeper.core.rules import Alert, Origin, compile_alert
from watchkeeper.core.silences import parse_quiet_hours, parse_silence
from watchkeeper.runtime.acknowledging import acknowledge
from watchkeeper.runtime.deliveries import REST_SEQUENCES
from watchkeeper.runtime.incidents import Incidents
from watchkeeper.runtime.silences import Request, add, end
from watchkeeper.storage import open_store
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import AlertChange, MarkKind, Release, Store


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store: in memory, in a file, on a server."""
    if request.param == "memory":
        made: Store = MemoryStore()
    elif request.param == "sqlite":
        made = open_store(f"sqlite:///{tmp_path / 'watchkeeper.db'}")
    else:
        made = open_store(request.getfixturevalue("postgres_url"))
    made.migrate()
    yield made
    made.close()


def test_an_alert_is_told_once_and_its_end_once(store: Store) -> None:
    """To the channels of its severity, however often somebody looks."""
    shop = Shop(store, rule())
    shop.fires()

    assert [("firing", "phone", 1), ("firing", "mail", 1)] == shop.tells()
    assert [] == shop.tells(10)
    shop.delivers("phone", "mail")
    shop.ends()
    assert [("resolved", "phone", 1), ("resolved", "mail", 1)] == shop.tells(10)
    assert [] == shop.tells(10)


def test_a_rules_own_channels_go_before_those_of_its_severity(store: Store) -> None:
    """Each of them once."""
    shop = Shop(store, rule(channels=("team", "team")))
    shop.fires()

    assert [("firing", "team", 1)] == shop.tells()


@pytest.mark.parametrize(
    ("named", "told"),
    [(("teem", "team"), ["team"]), (("teem",), ["phone", "mail"]), ((), ["phone", "mail"])],
)
def test_a_channel_that_there_is_not_is_left_out(
    store: Store, named: tuple[str, ...], told: list[str]
) -> None:
    """What is put there would wait for ever; if none is left, the severity decides."""
    shop = Shop(store, rule(channels=named), known=lambda: ("phone", "mail", "team"))
    shop.fires()

    assert [("firing", channel, 1) for channel in told] == shop.tells()


def test_an_alert_is_escalated_to_channels_that_there_are(store: Store) -> None:
    """Else to those who know."""
    slow = rule(escalate_after_s=900.0, escalate_to=("bos",), channels=("mail",))
    shop = Shop(store, slow, known=lambda: ("boss", "mail"))
    shop.fires()
    shop.tells()

    assert [("escalated", "mail", 1)] == shop.tells(900)


def test_two_workers_tell_once(store: Store) -> None:
    """Both have read that it fires and nobody knows: one of them is first."""
    shop = Shop(store, rule())
    shop.fires()
    one, other = shop.rows(), shop.rows()
    second = shop.another_worker()

    assert [2, 0] == [
        shop.worker.follow(one, shop.rules, now=shop.now),
        second.follow(other, shop.rules, now=shop.now),
    ]
    assert 2 == len(shop.messages())
    assert one == other == shop.rows()  # and both know how it is now


def test_many_workers_at_once_tell_once(store: Store) -> None:
    """Whatever they interleave: of each message one copy, of the followers one message."""
    shop = Shop(store, rule(by="route"))
    shop.fires("/a", "/b", "/c")
    shop.tells()
    shop.fires("/d", "/e")
    shop.now += 60
    workers = [shop.another_worker() for _ in range(4)]
    ready = threading.Barrier(len(workers))

    def follow(worker: Incidents) -> None:
        rows = shop.rows()
        ready.wait(10)
        worker.follow(rows, shop.rules, now=shop.now)

    threads = [threading.Thread(target=follow, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert [
        ("firing", "phone", 3),
        ("firing", "mail", 3),
        ("firing", "phone", 2),
        ("firing", "mail", 2),
    ] == [(row.kind, row.channel, len(row.payload["incidents"])) for row in shop.messages()]


def test_the_first_is_told_at_once_and_its_followers_together(store: Store) -> None:
    """A hundred routes that break within half a minute are two messages."""
    shop = Shop(store, rule(by="route", channels=("mail",)))
    shop.fires("/a")

    assert [("firing", "mail", 1)] == shop.tells()
    shop.fires("/b")
    assert [] == shop.tells(10)
    assert "collecting" == shop.told("/b")["why"]
    shop.fires("/c")
    assert [] == shop.tells(10)
    assert [("firing", "mail", 2)] == shop.tells(10)
    assert "collected" == shop.told("/c")["why"]
    assert "/ack?t=2-3" == shop.messages()[-1].payload["ack_link"]
    assert (
        "Errors: 2 of them, the first (route /b): 20 % (20 of 100 in 1 min) > 5 %"
        == (shop.messages()[-1].payload["summary"])
    )


def test_two_workers_do_not_both_have_a_first(store: Store) -> None:
    """The second one sees that the rule has just told, and lets its alert wait."""
    shop = Shop(store, rule(by="route", channels=("mail",)))
    shop.fires("/a")
    one = shop.rows()
    shop.fires("/b")
    other = {key: row for key, row in shop.rows().items() if key[1] != 'route="/a"'}
    second = shop.another_worker()

    shop.worker.follow(one, shop.rules, now=shop.now)
    second.follow(other, shop.rules, now=shop.now)

    assert [1] == [len(row.payload["incidents"]) for row in shop.messages()]
    assert "collecting" == shop.told("/b")["why"]


def test_ends_are_collected_as_beginnings_are(store: Store) -> None:
    """The first at once, the others together; an end does not wait for a beginning."""
    shop = Shop(store, rule(by="route", channels=("mail",)))
    shop.fires("/a", "/b", "/c")
    shop.tells()
    shop.delivers("mail")
    shop.ends("/a")

    assert [("resolved", "mail", 1)] == shop.tells(5)
    shop.ends("/b", "/c")
    assert [] == shop.tells(5)
    assert [("resolved", "mail", 2)] == shop.tells(25)


def test_what_fires_again_soon_is_one_message_not_a_pair(store: Store) -> None:
    """It is the same incident; its end is told once it has been calm for the cooldown."""
    shop = Shop(store, rule(channels=("mail",)))
    shop.fires()
    shop.tells()
    shop.delivers("mail")
    shop.ends()
    shop.tells(60)
    shop.delivers("mail")

    shop.now += 60
    shop.fires()
    assert [("again", "mail", 1)] == shop.tells()
    shop.delivers("mail")
    assert (1, "firing", None) == (
        (now := shop.incident()).id,
        now.state,
        now.resolved_at,
    )
    shop.ends()
    assert [] == shop.tells(60)
    assert "calming" == shop.told()["why"]
    shop.fires()  # and nobody need be told: they have not heard of the end
    assert [] == shop.tells(60)
    shop.ends()
    assert [("resolved", "mail", 1)] == shop.tells(601)
    assert ["firing", "resolved", "again", "resolved"] == [row.kind for row in shop.messages()]
    assert {1} == {row.incident for row in shop.messages()}


def test_after_the_cooldown_it_is_a_new_incident(store: Store) -> None:
    """And told as one."""
    shop = Shop(store, rule(channels=("mail",)))
    shop.fires()
    shop.tells()
    shop.delivers("mail")
    shop.ends()
    shop.tells()

    shop.now += 600
    shop.fires()
    assert [("firing", "mail", 1)] == shop.tells()
    assert [1, 1, 2] == [row.incident for row in shop.messages()]


def test_reminders_come_until_somebody_acknowledges(store: Store) -> None:
    """Each `repeat`; and no more of this incident, but for its end."""
    shop = Shop(store, rule(repeat_s=3_600.0, channels=("mail",)))
    shop.fires()
    shop.tells()
    shop.delivers("mail")

    assert [] == shop.tells(3_599)
    assert [("reminder", "mail", 1)] == shop.tells(1)
    shop.delivers("mail")
    assert [("reminder", "mail", 1)] == shop.tells(3_600)
    shop.delivers("mail")
    acknowledge(store, SHOP, 1, by="Ada", actor="test", at=shop.now)
    assert [] == shop.tells(3_600)
    assert "acknowledged" == shop.told()["why"]
    shop.ends()
    assert [("resolved", "mail", 1)] == shop.tells()
    assert [0, 0, 1, 0] == [row.sequence for row in shop.messages()]


def test_reminders_do_not_pile_up_where_a_channel_is_away(store: Store) -> None:
    """The last one takes the place of those that wait; what else they told of stays."""
    shop = Shop(store, rule(by="route", repeat_s=3_600.0, channels=("mail",)))
    shop.fires("/a", "/b")
    shop.tells()
    shop.delivers("mail")

    assert [("reminder", "mail", 2)] == shop.tells(3_600)
    acknowledge(store, SHOP, 1, by="Ada", actor="test", at=shop.now)
    assert [("reminder", "mail", 1), ("reminder", "mail", 1)] == shop.tells(3_600)
    assert [("reminder", "mail", 1)] == shop.tells(3_600)

    assert [("reminder", [1]), ("reminder", [2])] == [
        (row.kind, row.payload["incidents"]) for row in shop.messages("due")
    ]


def test_where_the_beginning_waits_no_reminder_is_put(store: Store) -> None:
    """It tells that it fires; others, who know that, are reminded."""
    shop = Shop(store, rule(repeat_s=3_600.0, channels=("mail", "phone")))
    shop.fires()
    shop.tells()
    shop.delivers("phone")

    assert [("reminder", "phone", 1)] == shop.tells(3_600)
    shop.delivers("phone")
    shop.ends()
    shop.tells()
    assert {"mail": True, "phone": False} == {
        row.channel: row.payload["late"] for row in shop.messages("due")
    }


def test_a_summary_of_what_flaps_takes_the_place_of_the_one_before(store: Store) -> None:
    """And where nothing of it was delivered, its end is late all the same."""
    shop = Shop(store, rule(repeat_s=3_600.0, channels=("mail",)))
    shop.fires(flapping=True)

    assert [("flapping", "mail", 1)] == shop.tells()
    assert [("flapping", "mail", 1)] == shop.tells(3_600)
    assert 1 == len(shop.messages("due"))
    shop.ends()
    assert [("resolved", "mail", 1)] == shop.tells()
    assert [True] == [row.payload["late"] for row in shop.messages("due")]


def test_what_is_about_to_be_over_is_not_escalated(store: Store) -> None:
    """It has been clear for a while; should it come back, others are told then."""
    shop = Shop(store, rule(escalate_after_s=900.0, escalate_to=("boss",), channels=("mail",)))
    shop.fires()
    shop.tells()

    shop.recovers()
    assert [] == shop.tells(900)
    shop.fires()
    assert [("escalated", "boss", 1)] == shop.tells()


def test_what_nobody_acknowledges_goes_to_others(store: Store) -> None:
    """Once; they are told of its end, too."""
    shop = Shop(store, rule(escalate_after_s=900.0, escalate_to=("boss",), channels=("mail",)))
    shop.fires()
    shop.tells()

    assert [("escalated", "boss", 1)] == shop.tells(900)
    assert [] == shop.tells(900)
    shop.delivers("mail", "boss")
    shop.ends()
    assert [("resolved", "mail", 1), ("resolved", "boss", 1)] == shop.tells()


def test_an_acknowledged_alert_is_not_escalated(store: Store) -> None:
    """Somebody has it."""
    shop = Shop(store, rule(escalate_after_s=900.0, escalate_to=("boss",), channels=("mail",)))
    shop.fires()
    shop.tells()
    acknowledge(store, SHOP, 1, by="Ada", actor="test", at=shop.now)

    assert [] == shop.tells(900)


def test_what_gets_worse_is_told_to_those_of_that_severity_too(store: Store) -> None:
    """Once; the incident is as bad as it was at its worst."""
    worse = compile_alert(
        Alert(
            "Errors",
            when="p95 > 1s",
            worse={"when": "p95 > 3s", "severity": "critical"},
        ),
        where="test",
        origin=Origin.CODE,
        slot_s=10.0,
    )
    shop = Shop(store, worse)
    shop.fires()
    assert [("firing", "mail", 1)] == shop.tells()
    row = shop.rows()["Errors", ""]
    store.save_alert(AlertChange(row=replace(row, data={**row.data, "worse": True})), at=shop.now)

    assert [("worse", "mail", 1), ("worse", "phone", 1)] == shop.tells(60)
    assert [] == shop.tells(60)
    assert ("critical", "critical") == (
        shop.messages()[-1].payload["severity"],
        shop.incident().severity,
    )


def test_flapping_is_told_once_and_its_end_when_it_is_calm(store: Store) -> None:
    """While it comes and goes each 13 minutes there is a summary each `repeat`, and no pairs."""
    shop = Shop(store, rule(repeat_s=3_600.0, cooldown_s=0.0, channels=("mail",)))
    fired = [NOON - 780.0 * number for number in (4, 3, 2, 1)]
    told = []
    for _ in range(6):
        fired = [*fired, shop.now][-5:]
        shop.fires(flapping=True, flaps=fired)
        told.append(shop.tells())
        shop.delivers("mail")
        shop.now += 300
        shop.ends(flapping=False, flaps=fired)
        told.append(shop.tells())
        assert "flaps" == shop.told()["why"]
        shop.now += 480

    news = [one for one in told if one]
    assert [[("flapping", "mail", 1)]] * 2 == news
    assert [] == shop.tells(779)
    assert [("resolved", "mail", 1)] == shop.tells(1)
    assert {1} == {row.incident for row in shop.messages()}


def test_what_is_silenced_is_told_when_the_silence_ends(store: Store) -> None:
    """If it still fires; the incident says what held it back."""
    shop = Shop(store, rule(by="route", channels=("mail",)))
    request = Request(match={"route": "/a"}, author="Ada", comment="backup", for_s=600)
    add(store, SHOP, request, actor="test", at=shop.now)
    shop.fires("/a", "/b")

    assert [("firing", "mail", 1)] == shop.tells()
    assert {"why": "silenced", "by": "silence 1: backup (Ada)"} == (
        shop.incident(1).data["telling"]
    )
    assert [] == shop.tells(599)
    assert [("firing", "mail", 1)] == shop.tells(1)
    assert "held_until_now" == shop.told("/a")["why"]


def test_what_ends_within_a_silence_is_listed_only(store: Store) -> None:
    """Nobody is told of it, not even that it is over."""
    shop = Shop(store, rule(channels=("mail",)))
    add(store, SHOP, Request(match={}, author="Ada", for_s=600), actor="test", at=shop.now)
    shop.fires()
    shop.tells()
    shop.ends()

    assert [] == shop.tells(601)
    assert ("resolved", "silenced") == (
        shop.incident().state,
        shop.incident().data["telling"]["why"],
    )


def test_a_silence_that_somebody_ends_is_over_within_seconds(store: Store) -> None:
    """It is asked for every ten seconds."""
    shop = Shop(store, rule(channels=("mail",)))
    silence = add(
        store, SHOP, Request(match={}, author="Ada", for_s=600), actor="test", at=shop.now
    )
    shop.fires()
    assert [] == shop.tells()

    assert end(store, SHOP, silence.id, actor="test", at=shop.now + 1)
    assert [("firing", "mail", 1)] == shop.tells(10)


def test_who_was_told_before_a_silence_is_told_of_the_end_within_it(store: Store) -> None:
    """A silence keeps nobody believing in what is over."""
    shop = Shop(store, rule(repeat_s=60.0, channels=("mail",)))
    shop.fires()
    shop.tells()
    shop.delivers("mail")
    add(store, SHOP, Request(match={}, author="Ada", for_s=600), actor="test", at=shop.now)

    assert [] == shop.tells(60)
    shop.ends()
    assert [("resolved", "mail", 1)] == shop.tells()


def test_a_planned_time_of_the_settings_silences(store: Store) -> None:
    """With its comment as the reason."""
    planned = parse_silence(
        {"match": {"severity": "critical"}, "every": "Sat 13:50-14:10 Europe/Berlin"},
        name="weekly backup",
        where="silences[0]",
    )
    shop = Shop(store, rule(channels=("mail",)), silences=(planned,))
    shop.fires()

    assert [] == shop.tells()
    assert "weekly backup" == shop.told()["by"]
    assert [("firing", "mail", 1)] == shop.tells(600)


def test_quiet_hours_hold_back_what_is_not_critical(store: Store) -> None:
    """It is told in the morning if it still fires then."""
    quiet = parse_quiet_hours({"every": "daily 11:00-13:00"}, where="quiet_hours")
    warning, critical = rule("Slow", severity="warning"), rule(channels=("mail",))
    shop = Shop(store, warning, critical, quiet_hours=quiet)
    shop.fires(name="Slow")
    shop.fires()

    assert [("firing", "mail", 1)] == shop.tells()
    assert "quiet_hours" == shop.told(name="Slow")["why"]
    assert [] == shop.tells(3_599)
    assert [("firing", "mail", 1)] == shop.tells(1)


def test_what_another_alert_explains_is_told_when_that_is_over(store: Store) -> None:
    """Whichever of them is evaluated first: what is told is decided when all are known."""
    shop = Shop(
        store,
        rule(quiet_while=("Database down",), channels=("mail",)),
        rule("Database down", channels=("phone",)),
    )
    shop.fires()
    shop.fires(name="Database down")

    assert [("firing", "phone", 1)] == shop.tells()
    assert ("inhibited", "Database down") == (shop.told()["why"], shop.told()["by"])
    shop.delivers("phone")
    shop.ends(name="Database down")
    assert [("firing", "mail", 1), ("resolved", "phone", 1)] == sorted(shop.tells(60))


def test_a_shadow_rule_is_recorded_and_explains_nothing(store: Store) -> None:
    """Its incidents are listed with the reason."""
    shop = Shop(
        store,
        rule("Trial", shadow=True),
        rule(quiet_while=("Trial",), channels=("mail",)),
    )
    shop.fires(name="Trial")
    shop.fires()

    assert [("firing", "mail", 1)] == shop.tells()
    assert "shadow" == shop.incident(1).data["telling"]["why"]


def test_an_alert_over_before_it_could_be_delivered_is_one_message(store: Store) -> None:
    """With its start and its end, said to be late; where it was delivered, the end alone."""
    shop = Shop(store, rule())
    shop.fires()
    shop.tells()
    shop.delivers("phone")  # mail is away

    shop.now += 240
    shop.ends()
    assert [("resolved", "phone", 1), ("resolved", "mail", 1)] == shop.tells()
    phone, mail = shop.messages()[2:]
    assert (False, True) == (phone.payload["late"], mail.payload["late"])
    assert (NOON, NOON + 240) == (mail.payload["started_at"], mail.payload["ended_at"])
    assert [("firing", "mail")] == [(row.kind, row.channel) for row in shop.messages("withdrawn")]
    assert [("resolved", "mail")] == [
        (row.kind, row.channel) for row in shop.messages("due") if row.channel == "mail"
    ]


def test_an_end_waits_while_the_beginning_is_being_sent(store: Store) -> None:
    """If that fails, both are one message after all."""
    shop = Shop(store, rule(channels=("mail",)))
    shop.fires()
    shop.tells()
    (sending,) = store.claim(at=shop.now, hold_s=60, channels=["mail"], limit=1)
    shop.ends()

    assert [] == shop.tells(5)
    assert "in_flight" == shop.told()["why"]
    store.settle(sending, status="due", at=shop.now, next_try_at=shop.now + 4, error="away")
    assert [("resolved", "mail", 1)] == shop.tells(1)
    assert shop.messages()[-1].payload["late"]


def test_an_end_does_not_wait_for_ever(store: Store) -> None:
    """A channel that nobody sends to any more keeps no claim alive."""
    shop = Shop(store, rule(channels=("mail",)))
    shop.fires()
    shop.tells()
    store.claim(at=shop.now, hold_s=60, channels=["mail"], limit=1)
    shop.ends()
    shop.tells()

    assert [("resolved", "mail", 1)] == shop.tells(120)


def test_what_of_a_waiting_message_is_over_leaves_it(store: Store) -> None:
    """Those that still fire stay in it; nobody is told "firing" of what has ended."""
    shop = Shop(store, rule(by="route", channels=("mail",)))
    shop.fires("/a", "/b", "/c")
    shop.tells()

    shop.ends("/b")
    shop.tells(60)
    firing, late, rest = shop.messages()
    assert ("withdrawn", "due", "due") == (firing.status, late.status, rest.status)
    assert [[1, 2, 3], [2], [1, 3]] == [row.payload["incidents"] for row in (firing, late, rest)]
    assert ("firing", REST_SEQUENCES, "mail") == (rest.kind, rest.sequence, rest.channel)
    assert ["/a", "/c"] == [one["labels"]["route"] for one in rest.payload["alerts"]]
    shop.ends("/a", "/c")
    shop.tells(60)
    assert [[2], [1, 3]] == [row.payload["incidents"] for row in shop.messages("due")]
    assert all(row.payload["late"] for row in shop.messages("due"))


def test_who_was_never_reached_is_not_told_of_the_end(store: Store) -> None:
    """A channel that gave up on the beginning gets no end either."""
    shop = Shop(store, rule())
    shop.fires()
    shop.tells()
    shop.delivers("phone")
    (failed,) = store.claim(at=shop.now, hold_s=60, channels=["mail"], limit=1)
    store.settle(failed, status="failed", at=shop.now, error="554")
    shop.ends()

    assert [("resolved", "phone", 1)] == shop.tells()


def test_reminders_that_wait_are_taken_back_at_the_end(store: Store) -> None:
    """What is over is not said to fire afterwards."""
    shop = Shop(store, rule(repeat_s=600.0, channels=("mail",)))
    shop.fires()
    shop.tells()
    shop.delivers("mail")
    shop.tells(600)
    shop.ends()
    shop.tells()

    assert [("resolved", False)] == [
        (row.kind, row.payload["late"]) for row in shop.messages("due")
    ]


def test_messages_about_one_incident_are_a_thread(store: Store) -> None:
    """Each names the first one that its channel got."""
    shop = Shop(store, rule(repeat_s=600.0))
    shop.fires()
    shop.tells()
    shop.delivers("phone", "mail")
    shop.tells(600)

    first = {row.channel: row.message_id for row in shop.messages() if row.kind == "firing"}
    assert first == {
        row.channel: row.payload["thread"] for row in shop.messages() if row.kind == "reminder"
    }


def test_a_message_names_the_release_before_it(store: Store) -> None:
    """What changed is the first question."""
    scope = replace(SHOP, release="v42")
    store.mark_release(Release(scope=scope, at=NOON - 40))
    shop = Shop(store, rule(channels=("mail",), runbook="https://wiki.example/errors"))
    shop.fires()
    shop.tells()

    payload = shop.messages()[0].payload
    assert {"name": "v42", "at": NOON - 40, "after_s": 40.0} == payload["release"]
    assert [
        "Follow the runbook: https://wiki.example/errors",
        "See what changed with release v42.",
        "Look at the issues that began shortly before.",
    ] == payload["next_steps"]
    assert ("/#1", "/ack?t=1", "40 %") == (
        payload["link"],
        payload["ack_link"],
        payload["alerts"][0]["peak_text"],
    )


def test_a_message_names_the_release_that_is_back(store: Store) -> None:
    """A return is told apart from a first deploy."""
    scope = replace(SHOP, release="v41")
    store.mark_release(Release(scope=scope, at=NOON - 40, kind=MarkKind.RETURN))
    shop = Shop(store, rule(channels=("mail",)))
    shop.fires()
    shop.tells()

    release = shop.messages()[0].payload["release"]
    assert ("v41", "return") == (release["name"], release["kind"])


def test_the_end_of_a_rule_that_is_gone_is_told(store: Store) -> None:
    """To those who knew; what ended otherwise of a rule nobody knows, after a minute."""
    shop = Shop(store, rule(channels=("mail",)))
    shop.fires()
    shop.tells()
    shop.delivers("mail")
    shop.ends()
    shop.rules = ()

    assert [] == shop.tells(59)
    assert [("resolved", "mail", 1)] == shop.tells(1)


def test_an_alert_of_a_rule_nobody_here_knows_is_left_to_others(store: Store) -> None:
    """During a deploy workers with old rules and with new ones stand side by side."""
    shop = Shop(store, rule(channels=("mail",)))
    shop.fires()
    shop.rules = ()

    assert [] == shop.tells(600)


def test_without_a_channel_the_incident_says_so(store: Store) -> None:
    """It is told as soon as there is one, if it still fires."""
    shop = Shop(store, rule(severity="info"))
    shop.fires()

    assert [] == shop.tells()
    assert {"why": "nobody"} == shop.incident().data["telling"]
