"""The header that requests' ids travel in, checked."""

import re
from typing import Final

from watchkeeper.exceptions import ConfigurationError

_NAME: Final = re.compile("[A-Za-z][A-Za-z0-9-]{0,63}")
# An id in one of these would break answers, or be taken for what it is not.
_TAKEN: Final = frozenset(
    {"authorization", "connection", "content-length", "content-type", "cookie", "date", "host"}
    | {"location", "server", "set-cookie", "transfer-encoding", "upgrade", "vary"}
)


def check_header(name: str) -> None:
    """Raise ConfigurationError unless a name is one for a header of ids, or empty."""
    if name and not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"request_id_header: {name!r} is no name of a header; "
            "write letters, digits and hyphens, as X-Request-ID"
        )
    if name.lower() in _TAKEN:
        raise ConfigurationError(
            f"request_id_header: {name} means something else; use a name such as X-Request-ID"
        )
