"""The built-in check of a name, against a name server of the test's own and the system's."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checked import check, found, states, told
from watchkeeper.core.health import CheckState
from watchkeeper.runtime.builtin.dns_packets import answer_to, question

Reply = Callable[[bytes], "list[bytes]"]


def _free_both() -> tuple[socket.socket, socket.socket]:
    """Listen by UDP and TCP on one port that is free for both."""
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(udp.getsockname())
        except OSError:  # somebody else's, by TCP
            udp.close()


class NameServer:
    """Answers questions on loopback, by UDP and by TCP, each with the packets it is told."""

    def __init__(self, by_udp: Reply, by_tcp: Reply) -> None:
        """Listen on a free port."""
        self.asked: list[bytes] = []
        self._by_udp, self._by_tcp = by_udp, by_tcp
        self._udp, self._tcp = _free_both()
        self.port = int(self._udp.getsockname()[1])
        self._threads = [
            threading.Thread(target=one, daemon=True) for one in (self._datagrams, self._streams)
        ]
        for one in self._threads:
            one.start()

    @property
    def address(self) -> str:
        """What a check is told."""
        return f"127.0.0.1:{self.port}"

    def end(self) -> None:
        """Close both sockets."""
        for one in (self._udp, self._tcp):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5)

    def _datagrams(self) -> None:
        with suppress(OSError):
            while True:
                packet, peer = self._udp.recvfrom(4_096)
                if not packet:
                    return
                self.asked.append(packet)
                for reply in self._by_udp(packet):
                    self._udp.sendto(reply, peer)

    def _streams(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._tcp.accept()
                with connection:
                    packet = connection.recv(4_096)[2:]
                    for reply in self._by_tcp(packet):
                        connection.sendall(len(reply).to_bytes(2) + reply)


def reply(
    packet: bytes,
    *addresses: str,
    code: int = 0,
    flags: int = 0x8180,
    number: int | None = None,
    alias: bool = False,
) -> bytes:
    """Return the packet that answers a question with these addresses."""
    records = []
    if alias:
        target = b"\x03cdn\x07example\x00"
        records.append(b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 60, len(target)) + target)
    for address in addresses:
        family, kind = (socket.AF_INET6, 28) if ":" in address else (socket.AF_INET, 1)
        data = socket.inet_pton(family, address)
        records.append(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data)
    asked = packet[12:]
    head = struct.pack(
        "!6H",
        struct.unpack_from("!H", packet)[0] if number is None else number,
        flags | code, 1, len(records), 0, 0,
    )  # fmt: skip
    return head + asked + b"".join(records)


@pytest.fixture
def serve() -> Iterator[Callable[..., NameServer]]:
    """Run a name server that replies as functions of the question say."""
    made: list[NameServer] = []

    def make(by_udp: Reply, by_tcp: Reply = lambda packet: []) -> NameServer:
        made.append(NameServer(by_udp, by_tcp))
        return made[-1]

    yield make
    for one in made:
        one.end()


def test_a_name_with_addresses_passes(serve):
    """The addresses are told, and the milliseconds."""
    server = serve(lambda packet: [reply(packet, "10.0.0.5", "10.0.0.6", alias=True)])
    one = found("dns", host="shop.example", server=server.address)

    assert ("pass", "10.0.0.5, 10.0.0.6", "ms") == (one.state.value, one.output, one.unit)
    assert b"\x04shop\x07example\x00\x00\x01\x00\x01" == server.asked[0][12:]


def test_addresses_of_version_6_are_asked_for_with_aaaa(serve):
    """Each kind of record has its question."""
    server = serve(lambda packet: [reply(packet, "2001:db8::5")])

    assert ("pass", "2001:db8::5") == told(
        "dns", host="shop.example", server=server.address, record="AAAA"
    )
    assert ("fail", "shop.example has no A record") == told(
        "dns", host="shop.example", server=server.address
    )


@pytest.mark.parametrize(
    ("code", "name"), [(2, "SERVFAIL"), (3, "NXDOMAIN"), (5, "REFUSED"), (9, "code 9")]
)
def test_a_refusal_is_told_by_its_name(serve, code: int, name: str):
    """As dig shows it."""
    server = serve(lambda packet: [reply(packet, code=code)])

    assert ("fail", f"{server.address} answered {name} for shop.example") == told(
        "dns", host="shop.example", server=server.address
    )


def test_an_address_that_was_expected_must_be_there(serve):
    """A name that points elsewhere is a failure, for instance after a hijack."""
    server = serve(lambda packet: [reply(packet, "10.0.0.5")])
    place = {"host": "shop.example", "server": server.address}

    assert ("pass", "10.0.0.5") == told("dns", expect="10.0.0.5", **place)
    assert ("fail", "shop.example is 10.0.0.5 and not 10.0.0.9") == told(
        "dns", expect=["10.0.0.5", "10.0.0.9"], **place
    )


def test_a_lost_packet_is_asked_for_again(serve):
    """UDP loses some; one of three is enough."""
    seen: list[bytes] = []

    def lose_the_first(packet: bytes) -> list[bytes]:
        seen.append(packet)
        return [] if len(seen) == 1 else [reply(packet, "10.0.0.5")]

    server = serve(lose_the_first)

    assert ("pass", "10.0.0.5") == told(
        "dns", host="shop.example", server=server.address, timeout="900ms"
    )


def test_a_server_that_is_silent_or_away_fails_within_the_time(serve, closed_port: int):
    """Both are told apart where the system tells them apart."""
    server = serve(lambda packet: [])
    state, text = told("dns", host="shop.example", server=server.address, timeout="300ms")

    assert "fail" == state
    assert text.startswith(f"no answer from {server.address} within ")
    assert ("fail", f"connection refused by 127.0.0.1:{closed_port}") == told(
        "dns", host="shop.example", server=f"127.0.0.1:{closed_port}"
    )


def test_answers_to_other_questions_are_left_aside(serve):
    """A forged packet needs the number and the name."""
    server = serve(
        lambda packet: [
            reply(packet, "10.6.6.6", number=(packet[0] << 8 | packet[1]) ^ 1),
            reply(packet[:12] + b"\x04evil\x07example\x00\x00\x01\x00\x01", "10.6.6.6"),
            packet,
            reply(packet, "10.0.0.5"),
        ]
    )

    assert ("pass", "10.0.0.5") == told("dns", host="shop.example", server=server.address)


def test_what_does_not_fit_into_a_packet_is_asked_by_tcp(serve):
    """As resolvers do."""
    many = [f"10.0.{number}.1" for number in range(100)]
    server = serve(
        lambda packet: [reply(packet, flags=0x8380)], lambda packet: [reply(packet, *many)]
    )

    assert ("pass", "10.0.0.1, 10.0.1.1, 10.0.2.1, 10.0.3.1, 10.0.4.1 …") == told(
        "dns", host="shop.example", server=server.address
    )


@pytest.mark.parametrize("broken", [b"", b"\x00" * 5, None])
def test_a_broken_packet_fails(serve, broken: bytes | None):
    """What ends too early is no answer."""
    server = serve(lambda packet: [reply(packet, "10.0.0.5")[:-2] if broken is None else broken])

    assert ("fail", "the name server answered with a broken packet") == told(
        "dns", host="shop.example", server=server.address
    )


@given(st.binary(max_size=600), st.integers(0, 3))
def test_no_packet_breaks_the_reader(noise: bytes, cut: int):
    """Whatever comes is an answer, another's answer, or broken."""
    asked = question(7, "shop.example", "A")
    whole = reply(asked, "10.0.0.5")
    for packet in (noise, whole[: -cut or None] + noise, whole[:30] + noise):
        with suppress(ValueError):
            answer_to(asked, packet)


def test_the_systems_resolver_is_asked_without_a_server():
    """As the application resolves names, with the machine's own file of hosts."""
    assert ("pass", "127.0.0.1") == told("dns", host="localhost", expect="127.0.0.1")
    state, text = told("dns", host="nowhere.invalid", timeout="20s")
    assert "fail" == state
    assert text in {
        "nowhere.invalid was not found",
        "no name server answers for nowhere.invalid",
    }


def test_nothing_is_left_of_many_runs(serve, closed_port: int):
    """Sockets of UDP and TCP are closed."""
    good = serve(lambda packet: [reply(packet, "10.0.0.5")])
    long = serve(
        lambda packet: [reply(packet, flags=0x8380)], lambda packet: [reply(packet, "10.0.0.5")]
    )
    refused = f"127.0.0.1:{closed_port}"

    assert {CheckState.PASS} == states(check("dns", host="shop.example", server=good.address))
    assert {CheckState.PASS} == states(check("dns", host="shop.example", server=long.address))
    assert {CheckState.FAIL} == states(check("dns", host="shop.example", server=refused))
    assert {CheckState.PASS} == states(check("dns", host="localhost"))
