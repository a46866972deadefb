"""Addresses of jobs outside of Python: made and taken away by people, at the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from watchkeeper.core.job_facts import JobFacts, Plan
from watchkeeper.core.metrics import Scope
from watchkeeper.core.schedules import Schedule
from watchkeeper.exceptions import TriageError
from watchkeeper.runtime import job_memory
from watchkeeper.runtime.audit import Action, write_down
from watchkeeper.runtime.job_memory import MAX_KEPT
from watchkeeper.runtime.pings import digest, make_token
from watchkeeper.storage.store import Store

TRIES: Final = 5  # against others that change the same job at the same time
_HAS_ADDRESS: Final = "job {name!r} has an address; watchkeeper ping remove takes it away"


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who changes something, of which deployment, and when."""

    scope: Scope
    actor: str
    at: float


def add(store: Store, name: str, schedule: Schedule | None, *, author: Author) -> str:
    """Give a job an address; return its token, which is kept nowhere.

    Raises TriageError if it has one, or a schedule in the code, or if there are too many jobs;
    StorageError.
    """
    token = make_token()
    for _ in range(TRIES):
        kept = job_memory.read(store, author.scope)
        facts = kept.facts.get(name)
        if facts is not None and facts.plan is not None and facts.plan.tokens:
            raise TriageError(
                f"job {name!r} has an address; watchkeeper ping remove takes it away"
            )
        if facts is not None and facts.schedule is not None:
            raise TriageError(f"job {name!r} is declared in the code, with its schedule")
        plan = Plan(at=author.at, schedule=schedule, tokens=(digest(token),))
        made = replace(facts or JobFacts(name=name, declared_at=author.at), plan=plan)
        made = replace(made, declared_at=author.at)
        if not job_memory.fitting([made], kept):
            raise TriageError(f"{MAX_KEPT} jobs are known already; watchkeeper jobs forget NAME")
        if job_memory.save(store, author.scope, [made], kept):
            data = {"schedule": schedule.text if schedule is not None else ""}
            _note(store, Action.PING_ADD, name, author, data)
            return token
    raise TriageError(f"job {name!r} is changed by somebody else right now; try again")


def remove(store: Store, name: str, *, author: Author) -> None:
    """Take a job's address away, and what is kept of it; raises TriageError, StorageError."""
    _forget(store, name, author=author, pinged=True)
    _note(store, Action.PING_REMOVE, name, author, {})


def forget(store: Store, name: str, *, author: Author) -> None:
    """Forget a job that nobody runs any more, so that it is not late for ever.

    What it did stays counted. Raises TriageError, StorageError.
    """
    _forget(store, name, author=author, pinged=False)
    _note(store, Action.JOB_FORGET, name, author, {})


def _forget(store: Store, name: str, *, author: Author, pinged: bool) -> None:
    for _ in range(TRIES):
        kept = job_memory.read(store, author.scope)
        facts = kept.facts.get(name)
        has_address = facts is not None and facts.plan is not None and bool(facts.plan.tokens)
        if facts is None or (pinged and not has_address):
            verb = "ping list" if pinged else "jobs"
            raise TriageError(f"there is no job {name!r} here; watchkeeper {verb} lists them")
        if has_address and not pinged:
            raise TriageError(
                f"job {name!r} has an address; watchkeeper ping remove takes it away"
            )
        if job_memory.forget(store, author.scope, [name], kept):
            return
    raise TriageError(f"job {name!r} is changed by somebody else right now; try again")


def _note(
    store: Store, action: Action, name: str, author: Author, data: Mapping[str, str]
) -> None:
    write_down(
        store, author.scope, action, actor=author.actor, at=author.at, target=name, data=data
    )
