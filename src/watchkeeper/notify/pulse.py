"""A call without content: that it comes is all it says."""

from typing import TYPE_CHECKING, Final

from watchkeeper.notify.address import Address, parse_address
from watchkeeper.notify.notifier import DeliveryError

if TYPE_CHECKING:
    from watchkeeper.notify.exchange import Answer

TIMEOUT_S: Final = 10.0  # for the exchange as a whole


class Pulse:
    """Posts nothing to one address."""

    def __init__(self, address: Address, *, timeout_s: float = TIMEOUT_S) -> None:
        """Prepare; nothing is looked up or opened before the first call."""
        self._address = address
        self._timeout_s = timeout_s

    def send(self) -> None:
        """Call, or raise `DeliveryError`, which never shows the address. Any 2xx is success."""
        # HTTP and TLS are needed only where somebody sends, so they are imported only there.
        from http.client import HTTPException

        from watchkeeper.notify.exchange import post

        address = self._address
        headers = {"User-Agent": "watchkeeper"}
        if address.authorization:
            headers["Authorization"] = address.authorization
        try:
            answer: Answer = post(address, headers=headers, body=b"", timeout_s=self._timeout_s)
        except TimeoutError:
            raise DeliveryError(
                f"{address.shown}: no answer within {self._timeout_s:g} s"
            ) from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise DeliveryError(f"{address.shown}: {str(reason)[:200]}") from None
        if not 200 <= answer.status < 300:
            raise DeliveryError(f"{address.shown}: answered {answer.status}")


def open_pulse(url: str, *, where: str) -> Pulse:
    """Return what calls `url`. Raises ConfigurationError naming the key and the cure."""
    return Pulse(parse_address(url, where=where))
