"""Addresses that somebody entered in a form: only public web servers may be reached by them."""

import ipaddress
from errno import EACCES
from typing import TYPE_CHECKING, Final

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify.address import Address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchkeeper.notify.exchange import Place, Resolver

PORTS: Final = frozenset({443, 8443, 80, 8080})
MAX_PLACES: Final = 16  # addresses of one name

_IPv4: Final = ipaddress.IPv4Network
_IPv6: Final = ipaddress.IPv6Network
GLOBAL_UNICAST: Final = _IPv6("2000::/3")  # the only range that public hosts of IPv6 are in
NAT64: Final = _IPv6("64:ff9b::/96")  # an address of IPv4 in its last 32 bits
# Within 2000::/3, but relays to addresses of IPv4, or not to be routed at all.
NOT_HOSTS: Final = tuple(
    _IPv6(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
# Some releases of Python call these global.
NOT_HOSTS_4: Final = tuple(
    _IPv4(network)
    for network in (
        *("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15"),
        *("224.0.0.0/4", "240.0.0.0/4"),
    )
)


class ForbiddenPlaceError(OSError):
    """A name leads to an address that is not public."""


def check_guarded(address: Address, *, http: bool, where: str) -> None:
    """Raise ConfigurationError unless the address is by TLS and to a usual port.

    `http` allows addresses without TLS. What the name leads to is checked when it is used.
    """
    if not address.secure and not http:
        raise ConfigurationError(f"{where}: must begin with https://")
    if address.port not in PORTS:
        usual = ", ".join(str(port) for port in sorted(PORTS))
        raise ConfigurationError(f"{where}: port {address.port} is not allowed; use {usual}")


def guarded(resolve: "Resolver") -> "Resolver":
    """Return a resolver that hands out public addresses only.

    It looks at what the name was resolved to, never at its text: the system takes "127.1",
    "0x7f000001" and "2130706433" for loopback. If one of the addresses is not public, none is
    handed out. Whoever connects must connect to these, and not look the name up again.
    Raises ForbiddenPlaceError.
    """

    def checked(host: str, port: int) -> "Sequence[Place]":
        places = resolve(host, port)[:MAX_PLACES]
        for _, place in places:
            if not is_public(str(place[0])):
                raise ForbiddenPlaceError(EACCES, "leads to an address that is not public")
        return places

    return checked


def is_public(text: str) -> bool:
    """Tell whether a numeric address belongs to a host on the internet.

    Stricter than `ipaddress.is_global`, which on some releases of Python lets through multicast,
    site-local addresses, and loopback wrapped into NAT64, 6to4 or IPv4-compatible ones.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # with a zone of an interface, or no address at all
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return _is_public_4(address)
    if address.ipv4_mapped is not None:
        return _is_public_4(address.ipv4_mapped)
    if address in NAT64:
        return _is_public_4(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return (
        address in GLOBAL_UNICAST
        and address.is_global
        and not any(address in network for network in NOT_HOSTS)
    )


def _is_public_4(address: ipaddress.IPv4Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in NOT_HOSTS_4)
    )
