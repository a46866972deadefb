"""Marks: whom the running request or job is for, and what it is about."""

from collections import deque
from hashlib import blake2b
from typing import Final

from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.observer import bound
from watchkeeper.runtime.record import Inside, current

MAX_TAGS: Final = 20  # of one request or job
MAX_RAW_TAG_CHARS: Final = 1_000  # of a value, which is scrubbed and cut when it is stored
MAX_TAG_NAME_CHARS: Final = 50
MAX_ID_CHARS: Final = 1_000  # that a user's hash is made of
HASH_BYTES: Final = 8

_GUARD: Final = guard("mark")
_PURPOSE: Final = b"watchkeeper.user"
_KEY: Final[deque[bytes]] = deque([b""], maxlen=1)  # of this process' Watchkeeper


def set_user(id: object) -> None:
    """Say for which user the running request or job works; None: for nobody any more.

    Only a hash of `str(id)` is kept, with its samples and errors, so that "how many users met
    this error" can be answered and "which" cannot; set `secret_key`, so that nobody can try ids.
    Does nothing outside of requests and jobs; never raises.
    """
    with _GUARD:
        record = current.get()
        if record is not None:
            record.opened().user = "" if id is None else hashed_user(id)


def tag(**labels: object) -> None:
    """Put tags on the running request or job: `tag(plan="pro", items=3)`.

    They are kept with its samples and errors, not with metrics, so any value will do: cut to 200
    characters, scrubbed, at most 20 tags. None removes a tag. Does nothing outside of requests
    and jobs; never raises.
    """
    with _GUARD:
        record = current.get()
        if record is not None:
            inside = record.opened()
            for name, value in labels.items():
                _put(inside, name[:MAX_TAG_NAME_CHARS], value)


def hashed_user(id: object) -> str:
    """Return the hash of a user's id: 16 hexadecimal digits."""
    text = str(id)[:MAX_ID_CHARS].encode(errors="surrogatepass")
    return blake2b(text, digest_size=HASH_BYTES, key=_KEY[0], person=_PURPOSE).hexdigest()


def use_key(secret: str) -> None:
    """Hash users with the installation's key; the empty text is none."""
    _KEY.append(blake2b(secret.encode(), digest_size=32).digest() if secret else b"")


def _put(inside: Inside, name: str, value: object) -> None:
    if value is None:
        inside.tags.pop(name, None)
    elif name in inside.tags or len(inside.tags) < MAX_TAGS:
        inside.tags[name] = str(value)[:MAX_RAW_TAG_CHARS]
    else:
        observer = bound()
        if observer is not None:
            observer.recorder.drop("tags")
