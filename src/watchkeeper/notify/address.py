"""The address that a webhook posts to, taken apart so that no error message shows it whole."""

import base64
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from watchkeeper.exceptions import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A URL taken apart; `authorization` is what its user and password became."""

    secure: bool
    host: str
    port: int
    path: str  # with the query; may hold a secret
    authorization: str = ""

    @property
    def shown(self) -> str:
        """The host and port, which is all of the address that messages may show."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def masked(self) -> str:
        """The address with its path, query, user and password masked."""
        scheme = "https" if self.secure else "http"
        usual = self.port == (443 if self.secure else 80)
        place = self.shown.rpartition(":")[0] if usual else self.shown
        return f"{scheme}://{place}/{'' if self.path == '/' else '***'}"


def parse_address(url: object, *, where: str) -> Address:
    """Take a URL apart. Raises ConfigurationError, which never shows the URL: it may be secret."""
    text = url if isinstance(url, str) else ""
    if url == "":
        raise ConfigurationError(
            f"{where}: is empty; write an address, or set the environment variable that it names"
        )
    cure = "write http:// or https://, a host, and a path without spaces"
    if not text.isascii() or any(letter <= " " or letter == "\x7f" for letter in text):
        raise ConfigurationError(f"{where}: has spaces or letters beyond ASCII; {cure}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ConfigurationError(f"{where}: is not a URL; {cure}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ConfigurationError(f"{where}: is not the address of a web server; {cure}")
    secure = parts.scheme == "https"
    return Address(
        secure=secure,
        host=parts.hostname,
        port=port or (443 if secure else 80),
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        authorization=_authorization(parts),
    )


def _authorization(parts: SplitResult) -> str:
    """Turn user:password@ of a URL into the header that it stands for."""
    if parts.username is None:
        return ""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
