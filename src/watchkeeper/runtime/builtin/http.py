"""The built-in check of an HTTP service: its status, a field of its answer, its certificate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from json import loads
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Unpack
from urllib.parse import urljoin

from watchkeeper.core.health import CheckState, Observed
from watchkeeper.core.scrub import MASK
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.notify.address import Address, parse_address
from watchkeeper.runtime import scrubbing
from watchkeeper.runtime.builtin.connection import (
    WARN_CERTIFICATE,
    Latency,
    Trust,
    said,
    told,
)
from watchkeeper.runtime.builtin.options import (
    CheckFailedError,
    Common,
    choice,
    made,
    mapping,
    secret,
    text,
    whole,
)
from watchkeeper.runtime.checks import Check

if TYPE_CHECKING:
    from http.client import HTTPResponse

METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST")
MAX_REDIRECTS: Final = 5
MAX_BODY_BYTES: Final = 65_536  # of an answer in JSON
MAX_STATUSES: Final = 20
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
EXAMPLE: Final = '"https://pay.example/health"'

_CLASS: Final = re.compile("[1-5]xx")
_HEADER: Final = re.compile("[A-Za-z0-9-]{1,64}")
_OURS: Final = frozenset({"connection", "content-length", "host", "transfer-encoding"})
_GONE: Final = object()  # a field that is not there


def http_check(
    url: str,
    *,
    method: str = "GET",
    status: int | str | Sequence[int | str] = 200,
    json: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    body: str = "",
    redirects: int = 0,
    ca_file: str | None = None,
    certificate_warn: str = WARN_CERTIFICATE,
    warn_after: str | None = None,
    **common: Unpack[Common],
) -> Check:
    """Return a check that sends one request and judges the answer.

    `status` is what is expected: 200, "2xx" or a list; `json` the values of fields, "data.state"
    for a field within a field. Follows up to `redirects` redirects, to the same host and port
    only, or from http to https at their usual ports. Asks no proxy. Raises ConfigurationError.
    """
    verb = choice(method, "method", METHODS)
    hops = whole(redirects, "redirects", most=MAX_REDIRECTS, example=1)
    content = secret(body, "body").encode()
    if content and verb != "POST":
        raise ConfigurationError('body: only a POST has one; write method = "POST"')
    if verb == "POST" and hops:
        raise ConfigurationError("redirects: a POST follows none; write redirects = 0")
    request = _Request(
        address=parse_address(text(url, "url", example=EXAMPLE, shown=False), where="url"),
        method=verb,
        headers=_headers(headers, with_body=bool(content)),
        body=content,
        hops=hops,
        trust=Trust(ca_file, certificate_warn),
    )
    statuses = _statuses(status)
    fields = {} if json is None else mapping(json, "json", example='{ "status" = "ok" }')
    latency = Latency(warn_after)

    def look(deadline: float) -> Observed:
        began = monotonic()
        with _told(request.address.shown, began), request.sent(deadline) as (answer, judged):
            if not statuses.has(answer.status):
                raise CheckFailedError(
                    f"{request.address.shown} answered {answer.status} instead of {statuses}"
                )
            if fields:
                _check_fields(_read(answer), fields)
            return latency.observed(began, judged)

    return made(look, common, name="http")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What is asked, and how many redirects are followed."""

    address: Address
    method: str
    headers: Mapping[str, str]
    body: bytes
    hops: int
    trust: Trust

    @contextmanager
    def sent(self, deadline: float) -> Iterator[tuple[HTTPResponse, tuple[CheckState, str]]]:
        """Send; yield the answer after all redirects, and what the certificate is worth."""
        from watchkeeper.notify.exchange import exchange

        address = self.address
        for left in range(self.hops, -1, -1):
            headers = dict(self.headers)
            if address.authorization:
                headers.setdefault("Authorization", address.authorization)
            with exchange(
                address,
                method=self.method,
                headers=headers,
                body=self.body,
                deadline=deadline,
                context=self.trust.context() if address.secure else None,
            ) as (answer, connection):
                if not self.hops or answer.status not in REDIRECTS:
                    yield answer, self.trust.judged(connection)
                    return
                if left:
                    address = _next(address, answer.headers.get("Location") or "")
        raise CheckFailedError(f"{self.address.shown} redirected more than {self.hops} times")


class _Statuses:
    """The statuses that are expected: numbers, and classes such as "2xx"."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)

    def __str__(self) -> str:
        return " or ".join(self._words)

    def has(self, status: int) -> bool:
        """Tell whether this one is expected."""
        return str(status) in self._words or f"{status // 100}xx" in self._words


def _statuses(value: object) -> _Statuses:
    given = value if isinstance(value, list | tuple) else (value,)
    words = [str(one) for one in given]
    for one, word in zip(given, words, strict=True):
        is_number = isinstance(one, int) and not isinstance(one, bool) and 100 <= one < 600
        if not is_number and not _CLASS.fullmatch(word):
            raise ConfigurationError(
                f'status: {one!r} is none; write status = 200, or [200, 204], or "2xx"'
            )
    if not 0 < len(words) <= MAX_STATUSES:
        raise ConfigurationError(f"status: write 1 to {MAX_STATUSES} of them")
    return _Statuses(words)


def _headers(given: object, *, with_body: bool) -> dict[str, str]:
    """Return the headers to send. Raises ConfigurationError, which shows no value."""
    example = '{ Authorization = "env:TOKEN" }'
    headers = {} if given is None else mapping(given, "headers", example=example)
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _OURS:
            raise ConfigurationError(f"headers.{name[:64]}: cannot be set; take it out")
        if not isinstance(value, str) or not value.isprintable() or not value.isascii():
            raise ConfigurationError(f"headers.{name}: must be a text in plain letters")
    known = {name.lower() for name in headers}
    usual = {"User-Agent": "watchkeeper", "Accept": "*/*"}
    if with_body:
        usual["Content-Type"] = "application/json"
    ours = {name: value for name, value in usual.items() if name.lower() not in known}
    return {**ours, **headers}


def _next(before: Address, location: str) -> Address:
    """Return where a redirect leads. Raises CheckFailedError for another server.

    The same name at another port may be another server, that is not to have our headers.
    """
    scheme = "https" if before.secure else "http"
    try:
        after = parse_address(
            urljoin(f"{scheme}://{before.shown}{before.path}", location), where="redirect"
        )
    except (ConfigurationError, ValueError):
        raise CheckFailedError(f"{before.shown} redirects to no address of a web server") from None
    if after.host != before.host:
        raise CheckFailedError(f"{before.shown} redirects to another host: {said(after.shown)}")
    if before.secure and not after.secure:
        raise CheckFailedError(f"{before.shown} redirects from https to http")
    to_tls = not before.secure and before.port == 80 and after.secure and after.port == 443
    if after.port != before.port and not to_tls:
        raise CheckFailedError(f"{before.shown} redirects to another port: {said(after.shown)}")
    return Address(
        secure=after.secure,
        host=after.host,
        port=after.port,
        path=after.path,
        authorization=before.authorization,
    )


@contextmanager
def _told(place: str, began: float) -> Iterator[None]:
    """Turn what went wrong into CheckFailedError that shows neither path nor header."""
    from http.client import HTTPException, IncompleteRead, RemoteDisconnected

    from watchkeeper.notify.exchange import TooLongError

    try:
        with told(place, began=began):
            yield
    except RemoteDisconnected:
        raise CheckFailedError(f"connection closed by {place}") from None
    except IncompleteRead:
        raise CheckFailedError("the answer ended too early") from None
    except TooLongError:
        raise CheckFailedError(f"the answer of {place} is too long") from None
    except HTTPException:
        raise CheckFailedError(f"{place} does not answer in HTTP") from None


def _read(answer: HTTPResponse) -> Any:
    """Read the answer as JSON. Raises CheckFailedError."""
    content = answer.read(MAX_BODY_BYTES + 1)
    if len(content) > MAX_BODY_BYTES:
        raise CheckFailedError(f"the answer is longer than {MAX_BODY_BYTES} bytes")
    if answer.length:  # of what was announced this is still to come
        raise CheckFailedError("the answer ended too early")
    try:
        return loads(content)
    except (ValueError, RecursionError):
        raise CheckFailedError("the answer is no JSON") from None


def _check_fields(content: Any, fields: Mapping[str, Any]) -> None:
    for path, expected in fields.items():
        found = content
        for name in path.split("."):
            found = found.get(name, _GONE) if isinstance(found, Mapping) else _GONE
        if found is _GONE:
            raise CheckFailedError(f"the answer has no field {path}")
        # True is 1 in Python, but not in JSON.
        if found != expected or isinstance(found, bool) is not isinstance(expected, bool):
            raise CheckFailedError(_unexpected(path, found, expected))


def _unexpected(path: str, found: object, expected: object) -> str:
    """Say what a field is and should be; neither if it is a secret, by its name or its form."""
    shown = [
        said(repr(one)) if isinstance(one, str | int | float | None) else "a table"
        for value in (found, expected)
        for one in scrubbing.mapping({path: value}).values()
    ]
    if any(MASK in one for one in shown):
        return f"{path} is not as expected"
    return f"{path} is {shown[0]} instead of {shown[1]}"
