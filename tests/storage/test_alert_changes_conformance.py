"""What every store does with a change of an alert that takes more with it, and who takes it on."""

from dataclasses import replace
from typing import Any

import pytest
from stored import HERE, fired, incident, notice, state

from watchkeeper.storage import Store
from watchkeeper.storage.rows import MAX_COMMENT, MAX_NAME
from watchkeeper.storage.store import AlertChange, AlertRow, Incident, Outgoing


def saved(store: Store, group: str, *channels: str) -> AlertRow:
    """Save a group's first state with an incident and messages of its own."""
    change = replace(fired(*channels), row=state(group=group), incident=incident(group=group))
    row = store.save_alert(change, at=100.0)
    assert row is not None
    return row


def own(store: Store, row: AlertRow) -> Incident:
    """Read a row's incident."""
    assert row.incident is not None
    found = store.incident(row.incident)
    assert found is not None
    return found


def everything(store: Store) -> tuple[Any, ...]:
    """Read all that a change may change."""
    states = ["firing", "resolved"]
    return (
        store.alerts(**HERE),
        store.incidents(**HERE, states=states, since=0, limit=9),
        store.outbox(limit=9),
    )


def test_messages_may_name_the_incident_that_is_new(store: Store):
    """The function is given its id, and state, incident and messages are one transaction."""

    def made(number: int) -> list[Outgoing]:
        return [replace(notice(), payload={"incident": number})]

    row = store.save_alert(replace(fired(), outgoing=made), at=100.0)

    assert row is not None
    (message,) = store.outbox(limit=9)
    assert (row.incident, {"incident": row.incident}) == (message.incident, message.payload)


def test_messages_of_an_incident_that_is_known_may_be_made_too(store: Store):
    """The function is given the id that the row has."""
    row = saved(store, "a")
    change = AlertChange(
        row=row, outgoing=lambda number: [replace(notice(), payload={"incident": number})]
    )

    store.save_alert(change, at=110.0)

    assert [{"incident": row.incident}] == [one.payload for one in store.outbox(limit=9)]


def test_a_function_that_raises_changes_nothing(store: Store):
    """What would have been written by then is not."""

    def broken(number: int) -> list[Outgoing]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.save_alert(replace(fired(), outgoing=broken), at=100.0)

    assert ([], [], []) == everything(store)


def test_further_rows_and_incidents_go_with_a_change(store: Store):
    """One transaction: each row gets its next version, and new ones their first."""
    first, second = saved(store, "a"), saved(store, "b")
    over = replace(own(store, second), state="resolved", resolved_at=110.0)
    change = AlertChange(
        row=replace(first, data={"n": 1}),
        also=[replace(second, state="ok"), state(group="c", state="pending")],
        incidents=[over],
        outgoing=[notice("mail"), replace(notice("pager"), incident=second.incident)],
    )

    row = store.save_alert(change, at=110.0)

    assert replace(first, version=2, data={"n": 1}) == row
    assert [
        ("a", 2, "firing", first.incident),
        ("b", 2, "ok", second.incident),
        ("c", 1, "pending", None),
    ] == [(one.group, one.version, one.state, one.incident) for one in store.alerts(**HERE)]
    assert over == own(store, second)
    assert [("pager", second.incident), ("mail", first.incident)] == [
        (one.channel, one.incident) for one in store.outbox(limit=9)
    ]


@pytest.mark.parametrize("stale", [1, 2, 0])
def test_a_further_row_that_moved_keeps_all_from_changing(store: Store, stale: int):
    """State, incidents and messages stay as they were, whichever row somebody else changed."""
    rows = [saved(store, "a"), saved(store, "b"), saved(store, "c")]
    store.save_alert(AlertChange(row=rows[stale]), at=105.0)
    before = everything(store)
    change = AlertChange(
        row=rows[0],
        also=rows[1:],
        incident=incident(group="new"),
        incidents=[replace(own(store, rows[1]), state="resolved", resolved_at=110.0)],
        outgoing=[notice("mail")],
    )

    assert store.save_alert(change, at=110.0) is None
    assert before == everything(store)


def test_a_row_is_changed_once(store: Store):
    """The same row twice is a fault of the caller: neither of the two is stored."""
    twin = state(group="a")
    for change in (
        AlertChange(row=twin, also=[twin]),
        AlertChange(row=state(group="b"), also=[twin, twin]),
    ):
        with pytest.raises(ValueError, match="each row once"):
            store.save_alert(change, at=1.0)

    assert ([], [], []) == everything(store)


def test_further_incidents_must_be_stored(store: Store):
    """One without an id is a fault of the caller."""
    with pytest.raises(ValueError, match="are stored already"):
        store.save_alert(AlertChange(row=state(), incidents=[incident()]), at=1.0)


def test_messages_made_by_a_function_need_an_incident(store: Store):
    """There is no id to give to it."""
    with pytest.raises(ValueError, match="notices belong to an incident"):
        store.save_alert(AlertChange(row=state(), outgoing=lambda _: [notice()]), at=1.0)


def test_a_message_may_belong_to_another_incident_than_the_rows(store: Store):
    """A row without an incident may carry messages that say whose they are."""
    row = saved(store, "a")
    further = replace(notice("mail"), incident=row.incident)

    assert store.save_alert(AlertChange(row=state(group="b"), outgoing=[further]), at=1.0)
    assert [row.incident] == [one.incident for one in store.outbox(limit=9)]


class TestWithdrawing:
    """Messages that are taken back because another one says it."""

    def test_a_message_that_waits_is_withdrawn(self, store: Store):
        """It is not sent any more, and the new one is."""
        row = saved(store, "a", "oncall")
        (waiting,) = store.outbox(limit=9)
        change = AlertChange(
            row=row, withdraw=[waiting.id, waiting.id], outgoing=[notice(kind="resolved")]
        )

        assert store.save_alert(change, at=110.0) is not None
        assert [("resolved", "due"), ("firing", "withdrawn")] == [
            (one.kind, one.status) for one in store.outbox(limit=9)
        ]
        claimed = store.claim(at=200.0, hold_s=60, channels=["oncall"], limit=9)
        assert ["resolved"] == [one.kind for one in claimed]

    def test_a_message_on_its_way_is_not(self, store: Store):
        """Nothing at all is changed while somebody sends it, nor after it was sent."""
        row = saved(store, "a", "oncall", "mail")
        mail, oncall = store.outbox(limit=9)
        (claimed,) = store.claim(at=105.0, hold_s=60, channels=["mail"], limit=9)
        change = AlertChange(
            row=row, withdraw=[mail.id, oncall.id], outgoing=[notice(kind="resolved")]
        )
        before = everything(store)

        assert store.save_alert(change, at=110.0) is None
        assert before == everything(store)

        store.settle(claimed, status="sent", at=120.0)
        assert store.save_alert(change, at=200.0) is None
        assert [row] == store.alerts(**HERE)
        assert store.save_alert(replace(change, withdraw=[oncall.id]), at=200.0) is not None

    def test_a_claim_that_ran_out_holds_nothing(self, store: Store):
        """Who claimed it and never settled it has lost it, and cannot settle it later."""
        row = saved(store, "a", "oncall")
        (claimed,) = store.claim(at=105.0, hold_s=60, channels=["oncall"], limit=9)

        assert store.save_alert(AlertChange(row=row, withdraw=[claimed.id]), at=165.0) is not None
        assert not store.settle(claimed, status="sent", at=166.0)
        assert ["withdrawn"] == [one.status for one in store.outbox(limit=9)]

    def test_a_message_that_is_not_there_cannot_be_withdrawn(self, store: Store):
        """It was pruned meanwhile, or never written."""
        row = saved(store, "a")

        assert store.save_alert(AlertChange(row=row, withdraw=[77]), at=110.0) is None


class TestAcknowledging:
    """Who takes an incident on."""

    def test_who_took_it_on_is_written_down(self, store: Store):
        """With the moment and the words; that is all that changes."""
        before = own(store, saved(store, "a"))
        assert (None, "", "") == (before.acked_at, before.acked_by, before.ack_note)

        acked = store.acknowledge(before.id, by="alice", note="on it ü", at=150.0)

        assert replace(before, acked_at=150.0, acked_by="alice", ack_note="on it ü") == acked
        assert acked == store.incident(before.id)
        assert [acked] == store.incidents(**HERE, states=["firing"], since=0, limit=9)

    def test_the_first_one_stays(self, store: Store):
        """Whoever comes later is told who was there before."""
        number = own(store, saved(store, "a")).id
        first = store.acknowledge(number, by="alice", note="", at=150.0)

        assert first is not None
        assert first == store.acknowledge(number, by="bob", note="me", at=160.0)

    def test_there_must_be_an_incident(self, store: Store):
        """None says that there is none."""
        assert store.acknowledge(7, by="alice", note="", at=150.0) is None

    def test_who_had_it_before_it_came_again_makes_room(self, store: Store):
        """The first one since then stays."""
        number = saved(store, "a").incident or 0
        store.acknowledge(number, by="alice", note="mine", at=150.0)

        again = store.acknowledge(number, by="bob", note="", at=200.0, since=180.0)

        assert again is not None
        assert (200.0, "bob", "") == (again.acked_at, again.acked_by, again.ack_note)
        assert again == store.acknowledge(number, by="eve", note="", at=210.0, since=180.0)

    def test_a_change_of_the_incident_keeps_it(self, store: Store):
        """An evaluator that read the incident before does not take it away."""
        row = saved(store, "a")
        read = own(store, row)
        acked = store.acknowledge(read.id, by="alice", note="", at=150.0)
        assert acked is not None

        row = store.save_alert(AlertChange(row=row, incident=replace(read, value=2.0)), at=160.0)
        assert row is not None
        assert replace(acked, value=2.0) == own(store, row)

        also = AlertChange(row=row, incidents=[replace(read, value=3.0)])
        store.save_alert(also, at=170.0)
        assert replace(acked, value=3.0) == own(store, row)

    def test_long_words_are_cut(self, store: Store):
        """No name is too long to be written down."""
        number = own(store, saved(store, "a")).id

        acked = store.acknowledge(number, by="x" * 300, note="y\x00" * 3_000, at=150.0)

        assert acked is not None
        assert ("x" * MAX_NAME, "y" * (MAX_COMMENT // 2)) == (acked.acked_by, acked.ack_note)


def test_many_rows_are_saved_together_each_by_itself(store: Store):
    """One that somebody else has changed is left out, its incident too; the others are saved."""
    first, second = saved(store, "a"), saved(store, "b")
    assert store.save_alert(AlertChange(row=second), at=105.0) is not None
    changes = [
        AlertChange(
            row=replace(row, data={"peak": 7}), incident=replace(own(store, row), value=7.0)
        )
        for row in (first, second)
    ]

    found = store.save_alerts(changes)

    assert [first.version + 1, None] == [row.version if row else None for row in found]
    assert [{"peak": 7}] == [row.data for row in store.alerts(**HERE) if row.group == "a"]
    numbers = [row.incident or 0 for row in (first, second)]
    values = {one.id: one.value for one in store.incidents_by_id([*numbers, 99_999])}
    assert {numbers[0]: 7.0, numbers[1]: own(store, second).value} == values
    assert 7.0 != values[numbers[1]]


def test_what_begins_is_saved_together_with_its_incidents(store: Store):
    """One that somebody else has begun is left out, and its incident is nowhere."""
    theirs = saved(store, "b")
    changes = [
        AlertChange(row=state(group="a"), incident=incident(group="a")),
        AlertChange(row=state(group="b"), incident=incident(group="b")),
        AlertChange(row=replace(state(group="c"), state="pending")),
        AlertChange(row=theirs, incident=replace(own(store, theirs), value=9.0)),
    ]

    first, second, third, fourth = store.save_alerts(changes[:3]) + store.save_alerts(changes[3:])

    assert second is None
    assert first is not None
    assert third is not None
    assert fourth is not None
    assert {"a": first, "b": fourth, "c": third} == {
        row.group: row for row in store.alerts(**HERE)
    }
    assert (1, "a", None, 9.0) == (
        first.version,
        own(store, first).group,
        third.incident,
        own(store, fourth).value,
    )
    every = store.incidents(**HERE, states=("firing",), since=0.0, limit=9)
    assert {first.incident, fourth.incident} == {one.id for one in every}


def test_states_are_forgotten_unless_somebody_changed_them(store: Store):
    """Whoever looked at them before does not delete what has begun since."""
    first, second = saved(store, "a"), saved(store, "b")
    assert store.save_alert(AlertChange(row=second), at=105.0) is not None

    assert 1 == store.forget_alerts([first, second])
    assert ["b"] == [row.group for row in store.alerts(**HERE)]
