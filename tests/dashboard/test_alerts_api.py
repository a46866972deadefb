"""Alerts, silences and rules in the JSON API."""

import json
from typing import Any

import pytest
from dashboards import NOW, SCOPE, Browser, made_shop, watched

from watchkeeper.core.pack import PACK
from watchkeeper.runtime import silences
from watchkeeper.runtime.acknowledging import acknowledge
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import AlertChange, Outgoing

HERE = {"service": SCOPE.service, "environment": SCOPE.environment}
PLANNED = [{"match": {"rule": "Mem*"}, "every": "Sun 02:00-04:00 Europe/Berlin"}]


@pytest.fixture
def shop() -> MemoryStore:
    """A shop with an incident, which somebody was told of."""
    return made_shop()


def tell(store: MemoryStore, **told: object) -> int:
    """Put a message about the shop's incident into the outbox; the incident's number."""
    row = next(row for row in store.alerts(**HERE) if row.incident is not None)
    outgoing = [
        Outgoing(kind="firing", sequence=0, channel="ops", payload={}, due_at=NOW - 60),
    ]
    data = {**row.data, "told": {"incident": row.incident, **told}}
    changed = AlertChange(
        row=type(row)(
            **HERE, rule=row.rule, group=row.group, state="firing", data=data,
            incident=row.incident, version=row.version,
        ),
        outgoing=outgoing,
    )  # fmt: skip
    saved = store.save_alert(changed, at=NOW - 60)
    assert saved is not None
    assert saved.incident is not None
    (waiting,) = store.claim(at=NOW - 59, hold_s=60, channels=("ops",), limit=5)
    store.settle(waiting, status="sent", at=NOW - 58)
    return saved.incident


def read(store: MemoryStore, address: str, **settings: Any) -> Any:
    """Ask the API."""
    answer = Browser(watched(store, open_access=True, **settings)).get(f"/api/v1/{address}")
    assert 200 == answer.status
    return json.loads(answer.body)


def test_what_fires_says_who_was_told(shop: MemoryStore):
    """State, severity, message and who has it stand in one row."""
    number = tell(shop, why="first")
    acknowledge(shop, SCOPE, number, by="ada", note="on it", actor="cli ada", at=NOW - 30)

    (alert,) = read(shop, "alerts.json")["alerts"]

    assert ("firing", number, "first") == (alert["state"], alert["incident"], alert["why"])
    assert {"by": "ada", "at": NOW - 30, "note": "on it"} == alert["acknowledged"]
    (told,) = alert["told"]
    assert ("ops", "sent", NOW - 58, 1) == (
        told["channel"],
        told["status"],
        told["sent_at"],
        told["attempts"],
    )


def test_incidents_of_the_window_are_listed(shop: MemoryStore):
    """As many as are asked for, and whether there are more."""
    assert 1 == len(read(shop, "alerts.json?range=1h&limit=1")["incidents"])


def test_an_incident_has_its_timeline(shop: MemoryStore):
    """Breach, fired, sent, acknowledged: each with its moment, in order."""
    number = tell(shop, why="first")
    acknowledge(shop, SCOPE, number, by="ada", actor="cli ada", at=NOW - 30)
    match = {"rule": shop.incident(number).rule}
    wanted = silences.Request(match=match, author="ada", comment="deploy", for_s=3_600)
    silences.add(shop, SCOPE, wanted, actor="cli ada", at=NOW - 10)

    view = read(shop, f"incidents/{number}.json")

    whats = [one["what"] for one in view["timeline"]]
    assert "breach" == whats[0]
    assert ["sent", "acknowledged"] == whats[-2:]
    assert view["timeline"] == sorted(view["timeline"], key=lambda one: one["at"])
    assert ("ada", "deploy") == (view["silenced"]["author"], view["silenced"]["comment"])
    assert "first" == view["why"]


def test_silences_of_settings_and_people_are_listed(shop: MemoryStore):
    """Those of the settings first; what is over is left out, what cannot be read as well."""
    for for_s in (60.0, 7_200.0):
        wanted = silences.Request(match={}, author="ada", for_s=for_s)
        silences.add(shop, SCOPE, wanted, actor="cli ada", at=NOW - 3_600)

    settings, person = read(shop, "silences.json", silences=PLANNED)["silences"]

    assert (None, {"rule": ["Mem*"]}, False) == (
        settings["id"],
        settings["matchers"],
        settings["active"],
    )
    assert (2, {}, True, NOW + 3_600) == (
        person["id"],
        person["matchers"],
        person["active"],
        person["until"],
    )


def test_rules_say_how_they_stand(shop: MemoryStore):
    """Origin, sentence and state of each rule in force."""
    firing = shop.alerts(**HERE)[0].rule

    rules = {one["name"]: one for one in read(shop, "rules.json")["rules"]}

    assert [rule.name for rule in PACK] == list(rules)
    assert {"pack"} == {one["origin"] for one in rules.values()}
    assert ("firing", 1) == (rules[firing]["state"], rules[firing]["firing"])
    quiet = next(one for name, one in rules.items() if name != firing)
    assert ("ok", 0, None) == (quiet["state"], quiet["firing"], quiet["since"])


@pytest.mark.parametrize("address", ["alerts.json", "silences.json", "rules.json"])
def test_the_api_is_closed(shop: MemoryStore, address: str):
    """Without a session nothing is said."""
    closed = watched(shop, password="made up for this test")

    assert 403 == Browser(closed).get(f"/api/v1/{address}").status
