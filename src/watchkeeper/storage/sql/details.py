"""The details of an event or a sample as they lie in their row: compressed JSON, bounded."""

import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

MAX_BYTES: Final = 64_000  # compressed; what is larger keeps its row without its details
MAX_PLAIN_BYTES: Final = 4_000_000  # of what is stored; ours are far smaller


def pack(details: Mapping[str, Any]) -> bytes:
    """Compress details; those that are too large become {"truncated": true}."""
    payload = zlib.compress(json.dumps(details, separators=(",", ":")).encode())
    return payload if len(payload) <= MAX_BYTES else zlib.compress(b'{"truncated":true}')


def unpack(payload: bytes) -> Mapping[str, Any]:
    """Return the details of a row; {"damaged": true} if they cannot be read."""
    try:
        details = json.loads(zlib.decompressobj().decompress(payload, MAX_PLAIN_BYTES))
    except (zlib.error, ValueError):
        return {"damaged": True}
    return details if isinstance(details, dict) else {"damaged": True}


def read_object(text: str) -> Mapping[str, Any]:
    """Return a JSON object; an empty one if it cannot be read."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
