"""Telling: for everything that may be so, what people are told, and why not."""

import json
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.rules import Alert, Origin, compile_alert
from watchkeeper.core.telling import (
    HOLDS,
    MAX_FILED,
    Facts,
    Kind,
    Manners,
    Step,
    Told,
    Why,
    comes_again,
    decide,
    reopens,
)

NOW = 100_000.0
BOTH = ("hook", "mail")
MANNERS = Manners(
    repeat_s=14_400,
    cooldown_s=600,
    group_wait_s=30,
    escalate_after_s=900,
    escalate_to=("boss",),
)
NOBODY_KNOWS = Told(incident=1)
KNOWN = Told(
    incident=1,
    channels=BOTH,
    severity="warning",
    first_at=NOW - 60,
    last_at=NOW - 60,
    why="first",
)
OVER = replace(KNOWN, channels=(), resolved_at=NOW - 100, why="over")
FIRES = Facts(incident=1, firing=True, routed=BOTH)
ENDED = Facts(incident=1, firing=False, ended_at=NOW - 5)


def decided(told: Told, facts: Facts, manners: Manners = MANNERS) -> Step:
    return decide(told, facts, manners, now=NOW)


SENT = [
    # what people believe, what is so, → the message, why, to whom
    (Told(), FIRES, Kind.FIRING, Why.FIRST, BOTH),
    (NOBODY_KNOWS, replace(FIRES, group_at=NOW - 30), Kind.FIRING, Why.FIRST, BOTH),
    (replace(NOBODY_KNOWS, why="collecting"), FIRES, Kind.FIRING, Why.COLLECTED, BOTH),
    (replace(NOBODY_KNOWS, why="silenced"), FIRES, Kind.FIRING, Why.HELD_UNTIL_NOW, BOTH),
    (replace(NOBODY_KNOWS, why="inhibited"), FIRES, Kind.FIRING, Why.HELD_UNTIL_NOW, BOTH),
    (replace(NOBODY_KNOWS, why="quiet_hours"), FIRES, Kind.FIRING, Why.HELD_UNTIL_NOW, BOTH),
    (replace(NOBODY_KNOWS, why="nobody"), FIRES, Kind.FIRING, Why.HELD_UNTIL_NOW, BOTH),
    (NOBODY_KNOWS, replace(FIRES, flapping=True), Kind.FLAPPING, Why.FIRST, BOTH),
    (OVER, FIRES, Kind.AGAIN, Why.CAME_AGAIN, BOTH),
    (KNOWN, replace(FIRES, severity="critical"), Kind.WORSE, Why.GOT_WORSE, BOTH),
    (
        KNOWN,
        replace(FIRES, severity="critical", routed=("phone",)),
        Kind.WORSE,
        Why.GOT_WORSE,
        (*BOTH, "phone"),
    ),
    (KNOWN, replace(FIRES, flapping=True), Kind.FLAPPING, Why.BEGAN_FLAPPING, BOTH),
    (replace(KNOWN, changed=True), FIRES, Kind.CHANGED, Why.RULE_CHANGED, BOTH),
    (
        replace(KNOWN, first_at=NOW - 900),
        FIRES,
        Kind.ESCALATED,
        Why.ESCALATION_DUE,
        ("boss",),
    ),
    (replace(KNOWN, last_at=NOW - 14_400), FIRES, Kind.REMINDER, Why.REMINDER_DUE, BOTH),
    (
        replace(KNOWN, last_at=NOW - 14_400, flapping=True),
        replace(FIRES, flapping=True),
        Kind.FLAPPING,
        Why.REMINDER_DUE,
        BOTH,
    ),
    # A clock set back by days stops neither reminders nor escalation.
    (
        replace(KNOWN, first_at=NOW + 9_000, last_at=NOW + 9_000),
        FIRES,
        Kind.ESCALATED,
        Why.ESCALATION_DUE,
        ("boss",),
    ),
    (replace(KNOWN, last_at=NOW + 300_000), FIRES, Kind.REMINDER, Why.REMINDER_DUE, BOTH),
    # What comes and goes is summed up, whether it is there just now or not.
    (
        replace(KNOWN, last_at=NOW - 14_400, flapping=True, escalated=True),
        replace(FIRES, recovering=True, flapping=True),
        Kind.FLAPPING,
        Why.REMINDER_DUE,
        BOTH,
    ),
    (KNOWN, ENDED, Kind.RESOLVED, Why.OVER, BOTH),
    (
        replace(KNOWN, again=True),
        replace(ENDED, ended_at=NOW - 600),
        Kind.RESOLVED,
        Why.OVER,
        BOTH,
    ),
    # Neither a silence nor a cause keeps anybody from learning that it is over.
    (KNOWN, replace(ENDED, silenced_by="s", inhibited_by="r"), Kind.RESOLVED, Why.OVER, BOTH),
    (KNOWN, replace(ENDED, acknowledged=True), Kind.RESOLVED, Why.OVER, BOTH),
]

NOT_SENT = [
    (NOBODY_KNOWS, replace(FIRES, group_at=NOW - 29), Why.COLLECTING),
    (NOBODY_KNOWS, replace(FIRES, silenced_by="s"), Why.SILENCED),
    (NOBODY_KNOWS, replace(FIRES, inhibited_by="r"), Why.INHIBITED),
    (NOBODY_KNOWS, replace(FIRES, quiet_hours=True), Why.QUIET_HOURS),
    (NOBODY_KNOWS, replace(FIRES, routed=()), Why.NOBODY),
    (NOBODY_KNOWS, replace(FIRES, silenced_by="s", inhibited_by="r"), Why.SILENCED),
    (KNOWN, FIRES, Why.NOT_DUE),
    (KNOWN, replace(FIRES, severity="info"), Why.NOT_DUE),
    (KNOWN, replace(FIRES, silenced_by="s"), Why.SILENCED),
    (KNOWN, replace(FIRES, severity="critical", silenced_by="s"), Why.SILENCED),
    (KNOWN, replace(FIRES, flapping=True, inhibited_by="r"), Why.INHIBITED),
    (replace(KNOWN, changed=True), replace(FIRES, quiet_hours=True), Why.QUIET_HOURS),
    (
        replace(KNOWN, last_at=NOW - 14_400),
        replace(FIRES, acknowledged=True),
        Why.ACKNOWLEDGED,
    ),
    (
        replace(KNOWN, first_at=NOW - 900),
        replace(FIRES, acknowledged=True),
        Why.ACKNOWLEDGED,
    ),
    (replace(KNOWN, last_at=NOW - 14_400, acknowledged=True), FIRES, Why.ACKNOWLEDGED),
    (replace(KNOWN, first_at=NOW - 900, escalated=True), FIRES, Why.NOT_DUE),
    (replace(KNOWN, last_at=NOW + 60), FIRES, Why.NOT_DUE),
    # What is about to be over calls nobody.
    (replace(KNOWN, first_at=NOW - 900), replace(FIRES, recovering=True), Why.NOT_DUE),
    (replace(KNOWN, last_at=NOW - 14_400), replace(FIRES, recovering=True), Why.NOT_DUE),
    (replace(KNOWN, flapping=True), replace(ENDED, flapping=True), Why.FLAPS),
    (replace(KNOWN, again=True), replace(ENDED, ended_at=NOW - 599), Why.CALMING),
    (KNOWN, replace(ENDED, quiet_hours=True), Why.QUIET_HOURS),
    (KNOWN, replace(ENDED, in_flight=True), Why.IN_FLIGHT),
    (KNOWN, replace(ENDED, group_at=NOW - 29), Why.COLLECTING),
    (NOBODY_KNOWS, ENDED, Why.OVER_UNTOLD),
    (replace(NOBODY_KNOWS, why="collecting"), ENDED, Why.OVER_UNTOLD),
    (replace(NOBODY_KNOWS, why="silenced"), ENDED, Why.SILENCED),
    (OVER, ENDED, Why.OVER),
]


@pytest.mark.parametrize(("told", "facts", "kind", "why", "channels"), SENT)
def test_what_is_new_is_told_to_those_concerned(told, facts, kind, why, channels):
    """Each kind of message has its reason and goes to the channels that it concerns."""
    step = decided(told, facts)

    assert (kind, why, channels) == (step.kind, step.why, step.channels)


@pytest.mark.parametrize(("told", "facts", "why"), NOT_SENT)
def test_what_is_not_sent_has_its_reason(told, facts, why):
    """Whoever asks why nobody was told gets an answer."""
    step = decided(told, facts)

    assert (None, why, ()) == (step.kind, step.why, step.channels)
    assert told.channels == step.told.channels


@pytest.mark.parametrize(("told", "facts", "kind", "why", "channels"), SENT)
def test_nothing_is_told_twice(told, facts, kind, why, channels):
    """As soon as it is told, the same facts lead to no message."""
    after = decided(told, facts).told

    assert decided(after, facts).kind is None


def test_a_shadow_rule_tells_nobody():
    """It is judged and recorded to be tried out."""
    assert Why.SHADOW is decided(NOBODY_KNOWS, FIRES, replace(MANNERS, shadow=True)).why


def test_the_reason_names_what_held_it_back():
    """The silence, or the rule that explains it; nothing once it is told."""
    silenced = decided(NOBODY_KNOWS, replace(FIRES, silenced_by="backup"))
    inhibited = decided(NOBODY_KNOWS, replace(FIRES, inhibited_by="Database down"))

    assert ("silenced", "backup") == (silenced.told.why, silenced.told.by)
    assert ("inhibited", "Database down") == (inhibited.told.why, inhibited.told.by)
    assert ("held_until_now", "") == (
        (told := decided(silenced.told, FIRES).told).why,
        told.by,
    )


def test_that_nothing_is_due_is_not_written_down_each_time():
    """The reason of the last message stays; that a silence is over is noted."""
    assert "first" == decided(KNOWN, FIRES).told.why
    assert KNOWN == decided(KNOWN, FIRES).told
    assert "not_due" == decided(replace(KNOWN, why="silenced", by="s"), FIRES).told.why


def test_a_new_incident_begins_with_nobody_knowing():
    """What was told of the one before says nothing about it."""
    step = decided(OVER, replace(FIRES, incident=2))

    assert (Kind.FIRING, Why.FIRST, 2) == (step.kind, step.why, step.told.incident)


def test_without_a_repetition_or_escalation_there_is_none():
    """0 means never."""
    old = replace(KNOWN, first_at=1.0, last_at=1.0)

    assert Why.NOT_DUE is decided(old, FIRES, Manners()).why


def test_an_escalation_to_nobody_in_particular_goes_to_those_who_know():
    """Rules may say when, and not to whom."""
    manners = replace(MANNERS, escalate_to=())

    assert BOTH == decided(replace(KNOWN, first_at=NOW - 900), FIRES, manners).channels


def test_who_was_told_on_the_way_is_told_of_the_end():
    """Those of an escalation and of a higher severity, too; each once."""
    step = decided(replace(KNOWN, first_at=NOW - 900), FIRES)
    worse = decided(step.told, replace(FIRES, severity="critical", routed=("phone", "mail")))

    assert (*BOTH, "boss", "phone") == decided(worse.told, ENDED).channels


def test_flapping_that_is_over_may_be_told_again():
    """A summary each time it begins, not only once."""
    calm = decided(replace(KNOWN, flapping=True), FIRES)

    assert not calm.told.flapping
    assert Kind.FLAPPING is decided(calm.told, replace(FIRES, flapping=True)).kind


@pytest.mark.parametrize(
    ("told", "continues"),
    [
        (Told(), False),
        (NOBODY_KNOWS, False),
        (KNOWN, True),
        (OVER, True),
        (replace(OVER, resolved_at=NOW - 600), False),
        (replace(OVER, resolved_at=NOW + 5), False),
    ],
)
def test_what_comes_back_within_the_cooldown_is_the_same_incident(told, continues):
    """From when people were told that it is over; or they never were."""
    assert continues is reopens(told, MANNERS, now=NOW)


def test_the_manners_are_those_of_the_rule():
    """A rule that is gone has the plainest."""
    rule = compile_alert(
        Alert("Errors", when="error_rate > 5%", repeat="1h", cooldown="5m"),
        where="test",
        origin=Origin.CODE,
        slot_s=10.0,
    )
    rule = replace(rule, escalate_after_s=60.0, escalate_to=("boss",), shadow=True)

    assert Manners() == Manners.of(None)
    assert Manners(
        repeat_s=3_600,
        cooldown_s=300,
        group_wait_s=30,
        escalate_after_s=60,
        escalate_to=("boss",),
        shadow=True,
    ) == Manners.of(rule)


def test_messages_are_numbered_by_kind():
    """Only those under its own incident count; of the others it is known where they are."""
    told = KNOWN.filed_under(1, Kind.FIRING).filed_under(1, Kind.REMINDER)
    told = told.filed_under(1, Kind.REMINDER).filed_under(7, Kind.REMINDER)

    assert [1, 2, 0] == [
        told.sequence(kind) for kind in (Kind.FIRING, Kind.REMINDER, Kind.RESOLVED)
    ]
    assert (1, 7) == told.filed
    for number in range(20):
        told = told.filed_under(number, Kind.REMINDER)
    assert MAX_FILED == len(told.filed)


@dataclass
class World:
    """One alert, its people, and what they got."""

    told: Told = field(default_factory=Told)
    facts: Facts = FIRES
    now: float = NOW
    got: list[tuple[str, Kind]] = field(default_factory=list)

    def passes(self, seconds: float, **facts: object) -> None:
        """Let time pass and something be so; then decide as the engine does."""
        self.now += seconds
        begins = bool(facts.get("firing", self.facts.firing)) and not self.facts.firing
        if begins and not reopens(self.told, MANNERS, now=self.now):
            facts["incident"] = self.facts.incident + 1
        if self.facts.firing and not facts.get("firing", True):
            facts["ended_at"] = self.now
        self.facts = replace(self.facts, **facts)
        step = decide(self.told, self.facts, MANNERS, now=self.now)
        stored = json.loads(json.dumps(step.told.to_data()))
        assert step.told == Told.from_data(stored)
        self.told = step.told
        if step.kind is not None:
            self.got.extend((channel, step.kind) for channel in step.channels)


PASSING = st.tuples(
    st.sampled_from([1.0, 10.0, 40.0, 601.0, 901.0, 14_401.0]),
    st.fixed_dictionaries(
        {"firing": st.booleans()},
        optional={
            "severity": st.sampled_from(["info", "warning", "critical"]),
            "flapping": st.booleans(),
            "silenced_by": st.sampled_from(["", "s"]),
            "inhibited_by": st.sampled_from(["", "r"]),
            "quiet_hours": st.booleans(),
            "acknowledged": st.booleans(),
            "in_flight": st.booleans(),
            "routed": st.sampled_from([(), ("hook",), BOTH]),
        },
    ),
)
CALM = {
    "flapping": False,
    "silenced_by": "",
    "inhibited_by": "",
    "quiet_hours": False,
    "in_flight": False,
    "routed": BOTH,
}


@given(st.lists(PASSING, max_size=40))
def test_nobody_is_told_of_an_end_without_a_beginning(events):
    """On each channel a beginning is followed by an end, and no end comes twice."""
    world = World()
    for seconds, facts in events:
        world.passes(seconds, **facts)

    for channel in ("hook", "mail", "boss"):
        believes = False
        for kind in (kind for name, kind in world.got if name == channel):
            if kind is Kind.RESOLVED:
                assert believes
                believes = False
            else:
                # Those who know are told no second time that it began.
                assert not (believes and kind in (Kind.FIRING, Kind.AGAIN))
                believes = True
        assert believes is (channel in world.told.channels)


@given(st.lists(PASSING, max_size=40))
def test_in_the_end_everybody_believes_what_is_so(events):
    """Once nothing holds it back: who fires is known, and what is over is over for all."""
    world = World()
    for seconds, facts in events:
        world.passes(seconds, **facts)

    for _ in range(2):
        world.passes(601.0, firing=world.facts.firing, **CALM)

    assert world.facts.firing is bool(world.told.channels)


@given(st.lists(PASSING, max_size=40))
def test_what_ends_while_it_is_held_back_is_never_sent(events):
    """It is listed only."""
    world = World(facts=replace(FIRES, firing=False, incident=0))
    for seconds, facts in events:
        world.passes(seconds, **{**facts, "silenced_by": "s"})
    world.passes(10.0, firing=False, **CALM)
    world.passes(10.0, firing=False, **CALM)

    assert [] == world.got


@pytest.mark.parametrize(
    ("likely", "fired", "now"),
    [
        (False, (), 100.0),
        (False, (10.0, 20.0), 21.0),
        (True, (10.0, 20.0, 50.0), 109.0),
        (False, (10.0, 20.0, 50.0), 110.0),
        (True, (0.0, 10.0, 3_000.0), 6_599.0),
        (False, (0.0, 10.0, 3_000.0), 6_600.0),
        (False, (10.0, 20.0, 50.0), 49.0),  # the clock was set back: not for ever
    ],
)
def test_what_flaps_is_over_when_it_stays_away(likely: bool, fired: tuple[float, ...], now: float):
    """For twice as long as it took to come again, at most for an hour."""
    assert likely is comes_again(fired, now=now)


def test_every_hold_is_a_reason_for_nothing():
    """What holds back is never the reason of a message."""
    assert not HOLDS & {why for _, _, _, why, _ in SENT}


def test_what_people_were_told_is_stored_as_json():
    """With all it knows; what nobody was told of is empty."""
    told = replace(KNOWN, by="s", again=True).filed_under(1, Kind.FIRING)

    stored = told.to_data()

    assert stored == json.loads(json.dumps(stored))
    assert told == Told.from_data(stored)
    assert Told() == Told.from_data(None) == Told.from_data({})
    assert {} == Told().to_data()
    assert told == Told.from_data({**stored, "of_a_newer_version": 1})
