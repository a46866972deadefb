"""What messages carry besides figures: what failed said, the sense of a threshold, addresses."""

from dataclasses import replace
from typing import Any

import pytest
from tests.alerted import NOON
from tests.stored import SHOP, batch, frame

from watchkeeper.core.job_facts import FAILED, OK, JobFacts, Run
from watchkeeper.core.pack import PACK
from watchkeeper.core.rules import Alert, Origin, Rule, compile_alert
from watchkeeper.core.telling import Kind
from watchkeeper.runtime import job_memory
from watchkeeper.runtime.audience import Links
from watchkeeper.runtime.configured import links
from watchkeeper.runtime.last_said import MAX_SAID, last_said
from watchkeeper.runtime.payloads import Message, Payloads
from watchkeeper.settings import Settings
from watchkeeper.storage.store import CheckResult, Incident, Store

PACKED = {rule.name: rule for rule in PACK}
ROOT = "https://shop.example/watchkeeper"


def incident(rule: str, number: int = 1, state: str = "firing", **data: Any) -> Incident:
    return Incident(
        id=number,
        service=SHOP.service,
        environment=SHOP.environment,
        rule=rule,
        group="",
        severity="warning",
        state=state,
        started_at=NOON,
        value=1.0,
        data=data,
    )


def payload(rule: Rule, *incidents: Incident, **fields: Any) -> dict[str, Any]:
    message = Message(
        kind=Kind.FIRING,
        name=rule.name,
        rule=rule,
        incidents=incidents,
        severity="warning",
        **fields,
    )
    return Payloads(SHOP, lambda _: Links()).of(message)


def checked(name: str, state: str, output: str, **fields: Any) -> CheckResult:
    given = {"since": NOON, "at": NOON, "duration_s": 0.1, **fields}
    return CheckResult(name=name, state=state, output=output, **given)


def test_what_a_failing_check_said_is_in_its_message(store: Store):
    """Of several workers the one that failed most says why; what passes says nothing."""
    store.write(
        batch(
            frame(0),
            checks=[
                checked("uploads", "fail", "/var/lib/shop is not there", failures=3, worker=1),
                checked("uploads", "fail", "no answer", failures=1, worker=2),
                checked("db", "pass", "3 connections"),
            ],
        )
    )
    rule = PACKED["Health check failing"]
    said = last_said(store, SHOP, rule)
    name = "Health check failing: uploads has failed 3 times in a row"
    told = payload(rule, incident(rule.name, labels={"check": "uploads"}, summary=name), said=said)

    assert {("check", "uploads"): "/var/lib/shop is not there"} == said
    assert f"{name}: /var/lib/shop is not there" == told["summary"] == told["alerts"][0]["summary"]
    assert "/var/lib/shop is not there" == told["alerts"][0]["said"]


def test_what_failed_says_no_secret_and_no_novel(store: Store):
    """A message leaves the house."""
    text = "postgresql://shop:hunter2-made-up@db/shop refused " + "x" * 500
    store.write(batch(frame(0), checks=[checked("db", "fail", text, failures=3)]))

    (said,) = last_said(store, SHOP, PACKED["Health check failing"]).values()

    assert "hunter2-made-up" not in said
    assert MAX_SAID >= len(said)


def test_what_the_last_run_of_a_job_said_is_in_its_message(store: Store):
    """Of a run that failed; nothing of one that went well, nor for rules on anything else."""
    facts = [
        JobFacts(name=name, declared_at=NOON, last_run=Run(at=NOON, outcome=outcome, output=said))
        for name, outcome, said in (
            ("nightly", FAILED, "ValueError: no rates"),
            ("hourly", OK, "done"),
            ("weekly", FAILED, ""),
        )
    ]
    job_memory.save(store, SHOP, facts, job_memory.read(store, SHOP))

    assert {("job", "nightly"): "ValueError: no rates"} == dict(
        last_said(store, SHOP, PACKED["Job failed"])
    )
    assert {} == last_said(store, SHOP, PACKED["High error rate"])
    assert {} == last_said(store, SHOP, PACKED["New issue"])
    assert {} == last_said(store, SHOP, None)


@pytest.mark.parametrize(
    ("operator", "when", "data"),
    [
        ("<", "apdex < 0.7", {"threshold": 0.7, "threshold_text": "0.7"}),
        ("!=", "last(replicas) != 3", {"threshold": 3.0, "threshold_text": "3"}),
        (
            ">=",
            "error_rate > 10% and requests >= 20",
            {"threshold": 20.0, "threshold_text": "20"},
        ),
        ("", "apdex < 0.7", {"threshold": 0.8, "threshold_text": "0.8"}),  # of an earlier rule
        ("", "worker missing", {}),
    ],
)
def test_a_threshold_is_told_with_its_operator(operator: str, when: str, data: dict[str, Any]):
    """Of several comparisons it is that of the one that decided."""
    rule = compile_alert(Alert("R", when=when), where="test", origin=Origin.CODE)

    assert operator == payload(rule, incident("R", **data))["alerts"][0]["operator"]


def test_silence_is_noticed_later_than_it_began():
    """A worker, and data, had stayed away before anybody could say so."""
    missing, errors = PACKED["Worker missing"], PACKED["High error rate"]
    no_data = replace(incident(errors.name), value=None)

    assert payload(missing, incident(missing.name))["noticed"]
    assert payload(errors, no_data)["noticed"]
    assert not payload(errors, incident(errors.name))["noticed"]


@pytest.mark.parametrize(
    ("page", "data"),
    [
        (f"{ROOT}/errors/7", {"issue": 7, "labels": {"issue": "7"}}),
        (f"{ROOT}/health", {"labels": {"check": "uploads"}}),
        (
            f"{ROOT}/?range=1h&end={NOON + 300:.0f}",
            {"labels": {"check": "mine"}, "threshold_text": "3"},
        ),
        (f"{ROOT}/?range=1h&end={NOON + 300:.0f}", {}),
    ],
)
def test_a_message_leads_to_the_page_that_shows_it(page: str, data: dict[str, Any]):
    """An issue has a page, checks have one, and figures have the dashboard of that time."""
    settings = Settings(public_url="https://shop.example")

    assert page == links(settings, "key", lambda: NOON, [incident("R", **data)]).page


def test_an_issue_can_be_silenced_but_not_taken_on():
    """What happened has no end; several of them lead to no page of one."""
    settings = Settings(public_url="https://shop.example")
    event = incident("New issue", state="event", issue=7)

    one = links(settings, "key", lambda: NOON, [event])
    two = links(settings, "key", lambda: NOON, [event, replace(event, id=2)])
    unstored = links(settings, "key", lambda: NOON, [replace(event, id=0)])

    assert "" == one.acknowledge
    assert one.silence.startswith(f"{ROOT}/silence?t=")
    assert two.page.startswith(f"{ROOT}/?range=1h")
    assert "" == unstored.silence
