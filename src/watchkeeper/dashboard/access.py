"""The door: who may see the dashboard. Closed unless somebody opened it."""

import hashlib
import hmac
import secrets
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http.cookies import SimpleCookie
from typing import Any, Final

from itsdangerous import BadSignature, URLSafeTimedSerializer

from watchkeeper.dashboard.http import Request, is_loopback
from watchkeeper.runtime.guard import guard
from watchkeeper.runtime.signed_links import signing_key
from watchkeeper.storage.store import AdminStore

LINK_S: Final = 300  # how long a one-time link waits to be used
SESSION_S: Final = 12 * 3_600
FORM_S: Final = 3_600  # how long a form may lie open before it is sent
SESSION_COOKIE: Final = "watchkeeper_session"
FORM_COOKIE: Final = "watchkeeper_form"
MAX_COOKIE: Final = 8_192  # characters of a Cookie header that are looked at
MAX_TOKEN: Final = 200
MENTION_DIGITS: Final = 8
MAX_PASSWORD: Final = 1_000
TRY_AGAIN_S: Final = 60.0
MAX_TRIES: Final = 5  # failed log-ins per client and minute
MAX_ALL_TRIES: Final = 30  # and of all clients together, for addresses can be made up
_PURPOSE: Final = "login"


class Way(StrEnum):
    """How somebody came in, or that the door is closed."""

    OPEN = "open"  # the demo, on loopback
    AUTH = "auth"  # the host's own decision
    SESSION = "session"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks: the way in, and the session if there is one."""

    way: Way
    session: str = ""

    @property
    def is_in(self) -> bool:
        """Tell whether the visitor may see anything."""
        return self.way is not Way.CLOSED


def make_login_token(store: AdminStore, *, now: float) -> str:
    """Make a token that signs one browser in within five minutes; only its hash is stored."""
    token = secrets.token_urlsafe(32)
    store.add_token(_digest(token), purpose=_PURPOSE, expires_at=now + LINK_S)
    return token


def mention(secret: str) -> str:
    """Return what names a token or a session in the audit: part of its hash, of use to nobody."""
    return _digest(secret)[:MENTION_DIGITS]


def new_session() -> str:
    """Make a session that nobody can guess."""
    return secrets.token_urlsafe(16)


class Access:
    """Decides who comes in, and keeps what is needed to do so.

    A visitor is in through the host's `auth`, or with a cookie that a one-time link or the
    password gave. Loopback is not trusted: behind a proxy on the same host everybody is loopback.
    """

    def __init__(
        self,
        *,
        password: str = "",
        secret_key: str = "",
        auth: Callable[[Any], bool] | None = None,
        open_access: bool = False,
    ) -> None:
        """Take what the settings say; empty texts mean "not set"."""
        self.has_password = bool(password)
        self._password = password
        self._key = secret_key
        self._auth = auth
        self._open = open_access
        self._failures: deque[tuple[float, str]] = deque(maxlen=MAX_ALL_TRIES)
        self._lock = threading.Lock()

    def visitor(self, request: Request, store: AdminStore | None) -> Visitor:
        """Tell who asks. A store that does not answer lets in only whom `auth` lets in.

        Raises StorageError if the signing key is needed and cannot be read.
        """
        if self._open and is_loopback(request):
            return Visitor(way=Way.OPEN)
        if self._auth is not None and self._is_welcome(request):
            return Visitor(way=Way.AUTH)
        cookie = _cookie(request, SESSION_COOKIE)
        if cookie:
            session = self._unsigned(cookie, "session", store, max_age_s=SESSION_S)
            if session:
                return Visitor(way=Way.SESSION, session=session)
        return Visitor(way=Way.CLOSED)

    def sign_in(self, request: Request, store: AdminStore, *, session: str) -> tuple[str, str]:
        """Return the Set-Cookie header of a new session, to be called after a proof."""
        value = self._serializer("session", store).dumps(session)
        return _set_cookie(request, SESSION_COOKIE, str(value), max_age_s=SESSION_S)

    def sign_out(self, request: Request) -> tuple[str, str]:
        """Return the Set-Cookie header that ends a session."""
        return _set_cookie(request, SESSION_COOKIE, "", max_age_s=0)

    def is_token_good(self, token: str, store: AdminStore, *, now: float) -> bool:
        """Consume a one-time token: true once, within five minutes of its making."""
        if not 0 < len(token) <= MAX_TOKEN:
            return False
        return store.use_token(_digest(token), purpose=_PURPOSE, at=now)

    def is_password_good(self, password: str) -> bool:
        """Compare in constant time; never true where no password is set."""
        if not self._password or len(password) > MAX_PASSWORD:
            return False
        return hmac.compare_digest(_digest(password), _digest(self._password))

    def may_try(self, request: Request, *, now: float) -> bool:
        """Tell whether this client may try to log in again already."""
        with self._lock:
            recent = [who for at, who in self._failures if 0 <= now - at < TRY_AGAIN_S]
        return len(recent) < MAX_ALL_TRIES and recent.count(request.client) < MAX_TRIES

    def failed(self, request: Request, *, now: float) -> None:
        """Remember a failed log-in."""
        with self._lock:
            self._failures.append((now, request.client))

    def form_token(
        self, request: Request, store: AdminStore, *, session: str = ""
    ) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Make a CSRF token for a form, and the headers that go with it.

        It is bound to the session, or before there is one to a cookie of its own.
        """
        serializer = self._serializer("form", store)
        if session:
            return str(serializer.dumps(session)), ()
        nonce = self._nonce(request, store) or secrets.token_urlsafe(16)
        signed = str(self._serializer("nonce", store).dumps(nonce))
        cookie = _set_cookie(request, FORM_COOKIE, signed, max_age_s=FORM_S)
        return str(serializer.dumps(nonce)), (cookie,)

    def is_form_good(
        self, request: Request, token: str, store: AdminStore, *, session: str = ""
    ) -> bool:
        """Tell whether a form was made by us for this very browser or session."""
        if request.headers.get("sec-fetch-site") == "cross-site":
            return False
        bound = session or self._nonce(request, store)
        said = self._unsigned(token, "form", store, max_age_s=FORM_S)
        return bool(bound) and hmac.compare_digest(said.encode(), bound.encode())

    def _is_welcome(self, request: Request) -> bool:
        with guard("dashboard auth"):
            # Nothing but True: the coroutine of an async function would be true for everybody.
            return self._auth is not None and self._auth(request) is True
        return False

    def _nonce(self, request: Request, store: AdminStore) -> str:
        cookie = _cookie(request, FORM_COOKIE)
        return self._unsigned(cookie, "nonce", store, max_age_s=FORM_S) if cookie else ""

    def _unsigned(self, text: str, salt: str, store: AdminStore | None, *, max_age_s: int) -> str:
        """Return what was signed, or the empty text if the signature is wrong or too old."""
        if store is None and not self._key:
            return ""
        try:
            content = self._serializer(salt, store).loads(text, max_age=max_age_s)
        except BadSignature:
            return ""
        return content if isinstance(content, str) else ""

    def _serializer(self, salt: str, store: AdminStore | None) -> URLSafeTimedSerializer:
        if not self._key and store is not None:
            self._key = signing_key(store)
        return URLSafeTimedSerializer(
            self._key,
            salt=f"watchkeeper.{salt}",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _cookie(request: Request, name: str) -> str:
    header = request.headers.get("cookie", "")
    if not header or len(header) > MAX_COOKIE:
        return ""
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""


def _set_cookie(request: Request, name: str, value: str, *, max_age_s: int) -> tuple[str, str]:
    cookie: SimpleCookie = SimpleCookie()
    cookie[name] = value
    morsel = cookie[name]
    morsel["path"] = _cookie_path(request.root)
    morsel["max-age"] = max_age_s
    morsel["httponly"] = True
    morsel["samesite"] = "Lax"
    if request.scheme == "https":
        morsel["secure"] = True
    return "set-cookie", morsel.OutputString()


def _cookie_path(root: str) -> str:
    """Return the root as a cookie's path; one with odd characters would be an open door."""
    plain = root.isascii() and root.isprintable() and not set(root) & set(";, \"'\\")
    return root if root and plain else "/"
