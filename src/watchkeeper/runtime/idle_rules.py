"""Which rules cannot judge, and why: kept, so that nothing unknown looks well."""

import json
from collections.abc import Mapping
from typing import Final

from watchkeeper.core.verdicts import Basis
from watchkeeper.storage import rows
from watchkeeper.storage.store import AdminStore

IDLE: Final = "idle_rules"  # the keys in wk_meta
WORDS: Final[Mapping[str, str]] = {
    Basis.NO_DATA.value: "no data",
    Basis.NO_HISTORY.value: "no earlier week yet",
}
"""What is shown of such a rule instead of ok."""


def read(store: AdminStore, *, service: str, environment: str) -> dict[str, str]:
    """Return the rules that could judge nothing, by name, with the word for it."""
    found = rows.json_object(store.meta(_key(service, environment)) or "")
    return {name: WORDS[basis] for name, basis in found.items() if basis in WORDS}


def write(
    store: AdminStore, bases: Mapping[str, Basis], *, service: str, environment: str
) -> None:
    """Keep which rules could judge nothing."""
    text = json.dumps({name: basis.value for name, basis in sorted(bases.items())})
    store.set_meta(_key(service, environment), text)


def _key(service: str, environment: str) -> str:
    return f"{IDLE}:{rows.digest(service, environment)}"
