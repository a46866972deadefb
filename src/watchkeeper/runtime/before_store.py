"""The user's last word on what is stored: the setting `before_store`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from watchkeeper.runtime.guard import guard

if TYPE_CHECKING:  # loaded with the store, so that the host's start does not wait
    from watchkeeper.storage.store import Event, Sample

CHANGEABLE: Final = ("method", "route", "request_id", "data")  # the rest is what was counted

_CALLBACK = guard("before_store")

_Item = TypeVar("_Item", "Event", "Sample")


class BeforeStore:
    """Shows events and samples to a callback before they are stored.

    The callback gets a dict of the item's fields and "kind": "event" or "sample"; it returns the
    dict, changed or not, or None to drop the item. An item for which it raises is dropped: what it
    was to take out must not be stored. Counts are not its business.
    """

    def __init__(self, callback: Callable[[Any], Any] | None) -> None:
        """Ask `callback`; None lets everything through."""
        self._callback = callback
        self.dropped = 0  # for a fault of the callback's, not by its wish

    def events(self, events: Sequence[Event]) -> list[Event]:
        """Return the events that may be stored."""
        return self._asked("event", events)

    def samples(self, samples: Sequence[Sample]) -> list[Sample]:
        """Return the samples that may be stored."""
        return self._asked("sample", samples)

    def _asked(self, kind: str, items: Sequence[_Item]) -> list[_Item]:
        if self._callback is None:
            return list(items)
        kept: list[_Item] = []
        for item in items:
            self.dropped += 1
            with _CALLBACK:
                answer = self._callback({"kind": kind, **asdict(item)})
                if answer is not None:
                    kept.append(_changed(item, answer))
                self.dropped -= 1
        return kept


def _changed(item: _Item, answer: dict[str, Any]) -> _Item:
    """Return the item with what the callback may change; raises if that cannot be stored."""
    changes: dict[str, Any] = {}
    for name in CHANGEABLE:
        before, after = getattr(item, name), answer[name]
        if name == "data":
            changes[name] = json.loads(json.dumps(dict(after)))
        elif isinstance(after, str):
            changes[name] = after
        else:
            raise TypeError(f"{name} became {type(after).__name__}, not {type(before).__name__}")
    return replace(item, **changes)
