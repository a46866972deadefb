"""Questions to name servers and their answers, as bytes (RFC 1035); addresses only."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

TYPES: Final[Mapping[str, int]] = {"A": 1, "AAAA": 28}
NO_ERROR: Final = 0
CODES: Final[Mapping[int, str]] = {
    1: "FORMERR",
    2: "SERVFAIL",
    3: "NXDOMAIN",
    4: "NOTIMP",
    5: "REFUSED",
}
MAX_LABEL: Final = 63
MAX_NAME: Final = 253
MAX_RECORDS: Final = 200  # that are looked at

_HEAD: Final = struct.Struct("!6H")
_RECORD: Final = struct.Struct("!HHIH")
_RECURSE: Final = 0x0100
_IS_ANSWER: Final = 0x8000
_IS_CUT: Final = 0x0200
_INTERNET: Final = 1
_POINTER: Final = 0xC0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a name server answered."""

    code: int
    cut: bool  # there is more than fitted into a packet
    addresses: tuple[str, ...]


def question(number: int, name: str, kind: str) -> bytes:
    """Return the packet that asks for the addresses of a name. Raises ValueError."""
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    if len(name) > MAX_NAME or any(not 0 < len(label) <= MAX_LABEL for label in labels):
        raise ValueError("not a name")
    asked = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    head = _HEAD.pack(number, _RECURSE, 1, 0, 0, 0)
    return head + asked + struct.pack("!2H", TYPES[kind], _INTERNET)


def answer_to(asked: bytes, packet: bytes) -> Answered | None:
    """Read a packet; None if it is no answer to this question. Raises ValueError."""
    if len(packet) < _HEAD.size:
        raise ValueError("too short")
    number, flags, questions, answers, _, _ = _HEAD.unpack_from(packet)
    if number != _HEAD.unpack_from(asked)[0] or not flags & _IS_ANSWER:
        return None
    code = flags & 0xF
    is_same = questions == 1 and packet[_HEAD.size : len(asked)].lower() == asked[12:].lower()
    if not is_same and (questions or code == NO_ERROR):  # refusals may leave the question out
        return None
    kind = struct.unpack_from("!H", asked, len(asked) - 4)[0]
    start = len(asked) if questions else _HEAD.size
    try:
        found = tuple(_addresses(packet, start, min(answers, MAX_RECORDS), kind))
    except (struct.error, IndexError):
        raise ValueError("ends too early") from None
    return Answered(code=code, cut=bool(flags & _IS_CUT), addresses=found)


def _addresses(packet: bytes, at: int, count: int, wanted: int) -> Iterator[str]:
    for _ in range(count):
        at = _after_name(packet, at)
        kind, group, _, length = _RECORD.unpack_from(packet, at)
        at += _RECORD.size
        data = packet[at : at + length]
        at += length
        if len(data) < length:
            raise IndexError
        if kind == wanted and group == _INTERNET and length in (4, 16):
            yield str(ip_address(data))


def _after_name(packet: bytes, at: int) -> int:
    """Return where a name ends; a pointer, which is its last part, is not followed."""
    while True:
        length = packet[at]
        if length & _POINTER == _POINTER:
            return at + 2
        at += 1 + length
        if length == 0:
            return at
