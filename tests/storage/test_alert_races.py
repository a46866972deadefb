"""Two processes at the same alerts, messages and rules in the same moment: one wins, always."""

import json
import subprocess
import sys
from dataclasses import replace

from stored import HERE, incident, notice, state

from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import NO_INCIDENT, AlertChange, Audit, StoredRule

ROUNDS = 25
CHILD = """
import json, sys
from dataclasses import replace
from watchkeeper.storage import open_store
from watchkeeper.storage.store import AlertChange, Audit, Outgoing

url, number, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
here = {"service": "shop", "environment": "production"}
store = open_store(url)
store.alerts(**here)
print("ready", flush=True)
sys.stdin.readline()
won = {"alerts": 0, "messages": 0, "rules": 0}
for turn in range(rounds):
    # Each process names the two rows the other way round.
    first, second = sorted(store.alerts(**here), key=lambda one: one.group, reverse=bool(number))
    incidents = [store.incident(one.incident) for one in (first, second)]
    change = AlertChange(row=first, also=[second], incidents=incidents)
    won["alerts"] += store.save_alert(change, at=200.0) is not None
    waiting = store.outbox(channel="oncall", status="due", limit=2)
    digest = Outgoing(
        kind="digest", sequence=waiting[0].id, channel="mail", payload={}, due_at=200.0
    )
    taken = store.enqueue([digest], **here, at=200.0, withdraw=[one.id for one in waiting])
    won["messages"] += taken is not None
    (rule,) = store.stored_rules(**here)
    entry = Audit(**here, at=200.0, actor="cli", action="rule.set", target=rule.name)
    rule = replace(rule, json=str(turn))
    won["rules"] += store.save_rule(rule, at=200.0, audit=entry) is not None
store.close()
print(json.dumps(won))
"""


def prepared(url: str) -> Store:
    """Open a store with two groups that fire, many messages, and a rule."""
    store = open_store(url)
    store.migrate()
    for group in ("a", "b"):
        change = AlertChange(row=state(group=group), incident=incident(group=group))
        store.save_alert(change, at=100.0)
    messages = [replace(notice(), sequence=number) for number in range(4 * ROUNDS)]
    store.enqueue(messages, **HERE, at=100.0)
    entry = Audit(**HERE, at=100.0, actor="cli", action="rule.set", target="Slow")
    store.save_rule(StoredRule(**HERE, name="Slow", json="", hash=""), at=100.0, audit=entry)
    return store


def test_of_two_processes_one_wins_each_time(migrated_url: str):
    """No version is won twice, no message is withdrawn twice, and the audit has every change."""
    store = prepared(migrated_url)
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, migrated_url, str(number), str(ROUNDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for child in children:
        assert child.stdout is not None
        assert "ready\n" == child.stdout.readline(), child.communicate()[1]

    outcomes = []
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        said, complaint = child.communicate(timeout=60)
        assert 0 == child.returncode, complaint
        outcomes.append(json.loads(said))

    won = {name: sum(one[name] for one in outcomes) for name in outcomes[0]}
    assert [1 + won["alerts"]] * 2 == [one.version for one in store.alerts(**HERE)]
    assert ROUNDS <= won["alerts"] <= 2 * ROUNDS
    digests = store.outbox(incident=NO_INCIDENT, channel="mail", limit=999)
    withdrawn = store.outbox(status="withdrawn", limit=999)
    assert (won["messages"], 2 * won["messages"]) == (len(digests), len(withdrawn))
    (rule,) = store.stored_rules(**HERE)
    assert 1 + won["rules"] == rule.version
    assert 1 + won["rules"] == len(store.audits(**HERE, since=0, until=1e9, limit=999))
    store.close()
