"""Signing in and out: one-time links, the password, and the page of a closed door."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from watchkeeper.core.metrics import Scope
from watchkeeper.dashboard import pages
from watchkeeper.dashboard.access import (
    MAX_TOKEN,
    TRY_AGAIN_S,
    Access,
    Visitor,
    mention,
    new_session,
)
from watchkeeper.dashboard.http import MAX_BODY_BYTES, Request, Response
from watchkeeper.dashboard.pages import LoginForm, Shell
from watchkeeper.dashboard.responses import html, see_other
from watchkeeper.runtime.audit import Action, write_down
from watchkeeper.storage.store import Store

MAX_FIELDS: Final = 20
MAX_NEXT: Final = 500
HELP: Final = (
    'Run "watchkeeper open" on the server for a sign-in link,',
    "or set WATCHKEEPER_PASSWORD,",
    "or pass auth=… in the settings.",
)
_STALE_FORM: Final = "This form is too old or was not made for this browser. Load the page again."
_SPENT_LINK: Final = "This link was used already, or is older than five minutes."
_WRONG_PASSWORD: Final = "This password is wrong."  # noqa: S105  # a sentence, no password
_TOO_OFTEN: Final = "Too many failed log-ins. Try again in a minute."


class Login:
    """Answers what has to do with the door; `Access` decides."""

    def __init__(self, access: Access, scope: Scope) -> None:
        """Take who decides, and whose dashboard it is."""
        self._access = access
        self._scope = scope

    def closed(self, request: Request, shell: Shell, store: Store) -> Response:
        """Answer 403 with the three ways in, and the password's form where there is one."""
        wanted = f"{request.path}?{request.query}" if request.query else request.path
        return self._door(request, shell, store, "Closed.", next_path=safe_next(wanted))

    def page(
        self, request: Request, shell: Shell, store: Store, query: Mapping[str, str]
    ) -> Response:
        """Show the button of a one-time link, or the password's form.

        Loading the link must not use it up: mail scanners and previews load links too.
        """
        token = query.get("token", "")
        next_path = safe_next(query.get("next", "/"))
        if not 0 < len(token) <= MAX_TOKEN:
            return self._door(request, shell, store, "Sign in.", next_path=next_path)
        csrf, cookies = self._access.form_token(request, store)
        form = LoginForm(csrf=csrf, next=next_path, token=token)
        lines = ("The link works once; this browser then stays signed in for 12 hours.",)
        body = pages.message_page(shell, "Sign in to the dashboard", lines=lines, form=form)
        return html(body, *cookies)

    def sign_in(self, request: Request, shell: Shell, store: Store, *, now: float) -> Response:
        """Take a one-time token or the password, and give a session for it."""
        form = read_form(request)
        next_path = safe_next(form.get("next", "/"))
        if not self._access.may_try(request, now=now):
            body = pages.message_page(shell, _TOO_OFTEN)
            wait = ("retry-after", str(int(TRY_AGAIN_S)))
            return html(body, wait, status=429)
        if not self._access.is_form_good(request, form.get("csrf", ""), store):
            return self._door(request, shell, store, _STALE_FORM, next_path=next_path)
        token = form.get("token", "")
        if token:
            welcome = self._access.is_token_good(token, store, now=now)
        else:
            welcome = self._access.is_password_good(form.get("password", ""))
        if not welcome:
            self._access.failed(request, now=now)
            reason = _SPENT_LINK if token else _WRONG_PASSWORD
            return self._door(request, shell, store, reason, next_path=next_path)
        session = new_session()
        cookie = self._access.sign_in(request, store, session=session)
        way = {"way": "link", "link": mention(token)} if token else {"way": "password"}
        self._write_down(store, Action.SESSION_BEGIN, session, now=now, data=way)
        return see_other(request.root + next_path, cookie)

    def sign_out(
        self, request: Request, store: Store, visitor: Visitor, *, now: float
    ) -> Response:
        """End the session, if the form is of this very session."""
        form = read_form(request)
        good = bool(visitor.session) and self._access.is_form_good(
            request, form.get("csrf", ""), store, session=visitor.session
        )
        if not good:
            return see_other(f"{request.root}/")
        self._write_down(store, Action.SESSION_END, visitor.session, now=now)
        return see_other(f"{request.root}/login", self._access.sign_out(request))

    def _write_down(
        self,
        store: Store,
        action: Action,
        session: str,
        *,
        now: float,
        data: Mapping[str, str] | None = None,
    ) -> None:
        actor = f"session {mention(session)}"
        write_down(store, self._scope, action, actor=actor, at=now, data=data or {})

    def _door(
        self, request: Request, shell: Shell, store: Store, heading: str, *, next_path: str
    ) -> Response:
        form: LoginForm | None = None
        cookies: tuple[tuple[str, str], ...] = ()
        if self._access.has_password:
            csrf, cookies = self._access.form_token(request, store)
            form = LoginForm(csrf=csrf, next=next_path)
        body = pages.message_page(shell, heading, help_lines=HELP, form=form)
        return html(body, *cookies, status=403)


def safe_next(path: str) -> str:
    """Return where to go after signing in: a path below our root, or the overview."""
    plain = path.isascii() and path.isprintable() and len(path) <= MAX_NEXT
    page = path.startswith("/") and not path.startswith(("//", "/login", "/logout", "/live"))
    return path if plain and page and "\\" not in path and " " not in path else "/"


def read_form(request: Request) -> dict[str, str]:
    """Read a form that was sent; one too large or malformed is an empty one."""
    if len(request.body) > MAX_BODY_BYTES:
        return {}
    try:
        fields = parse_qsl(
            request.body.decode("utf-8", "replace"),
            keep_blank_values=True,
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        return {}
    return dict(fields)
