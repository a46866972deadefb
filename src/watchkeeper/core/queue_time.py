"""How long a request waited between a proxy and the application, from the proxy's header."""

from typing import Final

MAX_QUEUE_S: Final = 3_600.0  # above it the header is no time of this request

_LATEST_S: Final = 1e11  # larger numbers are not seconds since the epoch but finer units
_LATEST_MS: Final = 1e14
_LATEST_US: Final = 1e17


def queue_seconds(header: str, *, now: float) -> float | None:
    """Return the seconds between the moment in `header` and `now` (since the epoch).

    Reads "t=1700000000.123" and plain numbers of seconds, milli-, micro- or nanoseconds, as
    nginx, Heroku and others send them in X-Request-Start. None for anything else; a proxy whose
    clock is a little ahead waited 0.
    """
    text = header.strip().removeprefix("t=")
    try:
        moment = float(text) if len(text) <= 32 else -1.0
    except ValueError:
        return None
    units = ((_LATEST_S, 1.0), (_LATEST_MS, 1e3), (_LATEST_US, 1e6))
    unit = next((unit for latest, unit in units if moment < latest), 1e9)
    waited = now - moment / unit
    return max(0.0, waited) if -1.0 <= waited <= MAX_QUEUE_S else None
