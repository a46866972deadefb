"""What is known of jobs, in the store: one value per job, changed by compare-and-set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from watchkeeper.core.job_facts import JobFacts, from_text, to_text
from watchkeeper.core.metrics import Scope
from watchkeeper.storage.values import Swap, ValueStore

MAX_KEPT: Final = 500  # jobs of one service and environment
MAX_PLAIN: Final = 300  # of them without a schedule and an address: names that vary


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the store knows of the jobs of a scope, and the texts that it is written as, by key."""

    facts: Mapping[str, JobFacts]
    texts: Mapping[str, str]


def read(memory: ValueStore, scope: Scope) -> Kept:
    """Read what is known of every job of a scope, by name; raises StorageError.

    A text that cannot be read tells nothing, and is written over.
    """
    texts = memory.values(_prefix(scope))
    found = [from_text(text) for _, text in sorted(texts.items())]
    return Kept(facts={one.name: one for one in found if one}, texts=texts)


def save(memory: ValueStore, scope: Scope, news: Sequence[JobFacts], kept: Kept) -> set[str]:
    """Write facts over those that were read; return the names of those that were written.

    The others were changed by somebody else meanwhile. Raises StorageError.
    """
    swaps: dict[str, Swap] = {}
    for facts in news:
        key = _key(scope, facts.name)
        swaps[facts.name] = Swap(key=key, old=kept.texts.get(key), new=to_text(facts))
    return _swapped(memory, swaps)


def fitting(news: Sequence[JobFacts], kept: Kept) -> list[JobFacts]:
    """Return the facts for which the store has room: names that vary leave it to the others."""
    room = MAX_KEPT - len(kept.texts)
    plain = MAX_PLAIN - sum(not one.is_planned for one in kept.facts.values())
    found = []
    for facts in sorted(news, key=lambda one: not one.is_planned):
        if facts.name not in kept.facts:
            if room <= 0 or (plain <= 0 and not facts.is_planned):
                continue
            room -= 1
            plain -= not facts.is_planned
        found.append(facts)
    return found


def forget(memory: ValueStore, scope: Scope, names: Sequence[str], kept: Kept) -> set[str]:
    """Delete what is known of jobs; return the names of those that are gone."""
    swaps = {}
    for name in names:
        key = _key(scope, name)
        if key in kept.texts:
            swaps[name] = Swap(key=key, old=kept.texts[key], new=None)
    return _swapped(memory, swaps)


def _swapped(memory: ValueStore, swaps: Mapping[str, Swap]) -> set[str]:
    """Change the values of jobs; return the names of those that were changed."""
    won = memory.swap_values(list(swaps.values())) if swaps else set()
    return {name for name, swap in swaps.items() if swap.key in won}


def _prefix(scope: Scope) -> str:
    return f"job:{_digest(scope.service, scope.environment)}:"


def _key(scope: Scope, name: str) -> str:
    """Return the store's key for a job; digests, since names may be longer than keys."""
    return f"{_prefix(scope)}{_digest(name)}"


def _digest(*parts: str) -> str:
    text = "\0".join(parts).encode(errors="replace")
    return blake2b(text, digest_size=16).hexdigest()
