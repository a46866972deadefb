"""The built-in check of a name: whether it resolves, and to what."""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import ip_address
from time import monotonic
from typing import TYPE_CHECKING, Final, Unpack

from watchkeeper.core.health import Observed
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.builtin.connection import Latency, at, connected, told
from watchkeeper.runtime.builtin.dns_packets import (
    CODES,
    NO_ERROR,
    TYPES,
    Answered,
    answer_to,
    question,
)
from watchkeeper.runtime.builtin.options import (
    CheckFailedError,
    Common,
    choice,
    host_name,
    made,
    port_number,
    texts,
)
from watchkeeper.runtime.checks import Check

if TYPE_CHECKING:
    import socket

PORT: Final = 53
TRIES: Final = 3  # of UDP, which loses packets
MAX_PACKET: Final = 4_096
MAX_STRANGE: Final = 100  # packets that answer something else, in one try
MAX_TOLD: Final = 5  # addresses in a text


def dns_check(
    host: str,
    *,
    record: str = "A",
    server: str | None = None,
    expect: str | Sequence[str] = (),
    warn_after: str | None = None,
    **common: Unpack[Common],
) -> Check:
    """Return a check that looks up the addresses of a name.

    Asks the system's resolver as the application does, or the `server` "10.0.0.2:53" itself, past
    every cache. `record` is "A" or "AAAA"; each of `expect` must be among the addresses. The
    system's resolver keeps its own time-outs. Raises ConfigurationError.
    """
    asked = host_name(host)
    kind = choice(record, "record", tuple(TYPES))
    place = None if server is None else _place(server)
    wanted = [_address(one) for one in texts(expect, "expect")]
    latency = Latency(warn_after)
    try:
        question(0, asked, kind)
    except ValueError:
        raise ConfigurationError('host: not a name; write host = "shop.example"') from None

    def look(deadline: float) -> Observed:
        began = monotonic()
        found = _by_system(asked, kind) if place is None else _by(place, asked, kind, deadline)
        if not found:
            raise CheckFailedError(f"{asked} has no {kind} record")
        absent = [one for one in wanted if one not in found]
        if absent:
            raise CheckFailedError(f"{asked} is {_some(found)} and not {_some(absent)}")
        return latency.observed(began, said=_some(found))

    return made(look, common, name="dns")


def _by_system(name: str, kind: str) -> list[str]:
    import socket

    family = socket.AF_INET if kind == "A" else socket.AF_INET6
    try:
        found = socket.getaddrinfo(name, None, family, socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise CheckFailedError(f"no name server answers for {name}") from None
        raise CheckFailedError(f"{name} was not found") from None
    return [str(ip_address(str(place[0]).partition("%")[0])) for *_, place in found]


def _by(place: tuple[str, int], name: str, kind: str, deadline: float) -> list[str]:
    """Ask one server: by UDP, and by TCP for what is too long for that."""
    asked = question(int.from_bytes(os.urandom(2)), name, kind)
    found = _by_udp(place, asked, deadline)
    if found.cut:
        found = _by_tcp(place, asked, deadline)
    if found.code != NO_ERROR:
        code = CODES.get(found.code, f"code {found.code}")
        raise CheckFailedError(f"{at(*place)} answered {code} for {name}")
    return list(found.addresses)


def _by_udp(place: tuple[str, int], asked: bytes, deadline: float) -> Answered:
    import socket

    began = monotonic()
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    with told(at(*place), began=began), socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.connect(place)  # so that nobody else can answer
        for number in range(1, TRIES + 1):
            asking.send(asked)
            until = began + (deadline - began) * number / TRIES
            found = _received(asking, asked, until)
            if found is not None:
                return found
        raise TimeoutError


def _received(asking: socket.socket, asked: bytes, until: float) -> Answered | None:
    """Wait for the answer; what answers something else is left aside."""
    for _ in range(MAX_STRANGE):
        left_s = until - monotonic()
        if left_s <= 0:
            return None
        asking.settimeout(left_s)
        try:
            packet = asking.recv(MAX_PACKET)
        except TimeoutError:
            return None
        found = _read(asked, packet)
        if found is not None:
            return found
    return None


def _by_tcp(place: tuple[str, int], asked: bytes, deadline: float) -> Answered:
    from watchkeeper.notify.exchange import Source, send_all

    began = monotonic()
    with connected(*place, deadline=deadline) as asking, told(at(*place), began=began):
        send_all(asking, len(asked).to_bytes(2) + asked, deadline)
        with Source(asking, deadline).makefile("rb") as incoming:
            packet = incoming.read(int.from_bytes(incoming.read(2)))
        found = _read(asked, packet)
        if found is None:
            raise ConnectionResetError
        return found


def _read(asked: bytes, packet: bytes) -> Answered | None:
    try:
        return answer_to(asked, packet)
    except ValueError:
        raise CheckFailedError("the name server answered with a broken packet") from None


def _place(server: object) -> tuple[str, int]:
    """Read "10.0.0.2", "10.0.0.2:53" or "[::1]:53". Raises ConfigurationError."""
    words = server if isinstance(server, str) else ""
    host, colon, port = words.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = words, str(PORT)
    try:
        return str(ip_address(host.strip("[]"))), port_number(port, "server", example=PORT)
    except (ValueError, ConfigurationError):
        raise ConfigurationError(
            f'server: {str(server)[:60]!r} is no address; write server = "10.0.0.2:53"'
        ) from None


def _address(word: str) -> str:
    try:
        return str(ip_address(word))
    except ValueError:
        raise ConfigurationError(
            f'expect: {word[:60]!r} is no address; write expect = ["10.0.0.5"]'
        ) from None


def _some(addresses: Sequence[str]) -> str:
    shown = ", ".join(dict.fromkeys(addresses[:MAX_TOLD]))
    return f"{shown} …" if len(addresses) > MAX_TOLD else shown
