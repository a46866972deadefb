"""The door of the dashboard: closed unless somebody opened it."""

import re

import pytest
from dashboards import NOW, Browser, header, made_shop, text, watched

from watchkeeper.dashboard.access import make_login_token, mention
from watchkeeper.dashboard.http import Request
from watchkeeper.dashboard.login import safe_next
from watchkeeper.dashboard.routes import Dashboard
from watchkeeper.exceptions import StorageUnavailableError
from watchkeeper.storage.memory import MemoryStore


def closed_shop(**given):
    """Return a shop with the default door."""
    return watched(made_shop(), **({"release": ""} | given))


def fields(page):
    """Return the hidden fields of a form."""
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', text(page)))


def form(page, **more):
    """Return the body that sending a page's form makes."""
    return "&".join(f"{name}={value}" for name, value in (fields(page) | more).items())


def signed_in(wk, **given):
    """Return a browser that came in through a one-time link."""
    browser = Browser(wk, **given)
    token = make_login_token(wk.store, now=wk.now)
    page = browser.get(f"/login?token={token}")
    assert 303 == browser.post("/login", form(page)).status
    return browser


@pytest.mark.parametrize("path", ["/", "/errors/1", "/charts/rate", "/live", "/nowhere"])
def test_every_page_is_closed_by_default(path):
    """Without a session nothing is shown but three lines of help."""
    page = Browser(closed_shop()).get(path)

    assert 403 == page.status
    assert "watchkeeper open" in text(page)
    assert "WATCHKEEPER_PASSWORD" in text(page)
    assert "auth=" in text(page)
    assert "shop-api" not in text(page)
    assert "<form" not in text(page)


def test_the_api_is_closed_as_well():
    """A program gets a plain refusal."""
    answer = Browser(closed_shop()).get("/api/v1/overview.json")

    assert (403, b'{"error":"closed"}') == (answer.status, answer.body)


def test_loopback_is_not_trusted():
    """Behind a proxy on the same host everybody comes from loopback."""
    wk = closed_shop()
    request = Request(method="GET", root="/watchkeeper", path="/", client="127.0.0.1")

    assert 403 == Dashboard(wk).handle(request).status


def test_a_one_time_link_opens_the_dashboard():
    """The button of the link signs the browser in."""
    wk = closed_shop()
    browser = Browser(wk)
    token = make_login_token(wk.store, now=NOW)

    page = browser.get(f"/login?token={token}")
    answer = browser.post("/login", form(page))

    assert (200, 303, "/watchkeeper/") == (page.status, answer.status, header(answer, "location"))
    assert 200 == browser.get("/").status


def test_a_one_time_link_works_once():
    """A second browser with the same link stays outside."""
    wk = closed_shop()
    token = make_login_token(wk.store, now=NOW)
    first, second = Browser(wk), Browser(wk)

    statuses = [
        one.post("/login", form(one.get(f"/login?token={token}"))).status
        for one in (first, second)
    ]

    assert [303, 403] == statuses
    assert 403 == second.get("/").status


def test_loading_the_link_does_not_use_it_up():
    """A mail scanner that loads the link leaves it whole."""
    wk = closed_shop()
    token = make_login_token(wk.store, now=NOW)

    for _ in range(3):
        Browser(wk).get(f"/login?token={token}")
    browser = Browser(wk)

    assert 303 == browser.post("/login", form(browser.get(f"/login?token={token}"))).status


def test_a_link_is_good_for_five_minutes():
    """After five minutes a link is worth nothing."""
    wk = closed_shop()
    token = make_login_token(wk.store, now=NOW)
    wk.now = NOW + 301
    browser = Browser(wk)

    answer = browser.post("/login", form(browser.get(f"/login?token={token}")))

    assert 403 == answer.status
    assert "used already" in text(answer)


def test_only_the_hash_of_a_token_is_stored():
    """Whoever reads the database cannot sign in with what stands there."""
    seen = []

    class Store(MemoryStore):
        """Notes what is stored."""

        def add_token(self, digest, *, purpose, expires_at):
            """Note the digest."""
            seen.append((digest, purpose, expires_at))

    token = make_login_token(Store(), now=NOW)
    ((digest, purpose, expires_at),) = seen

    assert ("login", NOW + 300) == (purpose, expires_at)
    assert token not in digest
    assert 64 == len(digest)


def test_the_session_cookie_is_locked_down():
    """Scripts cannot read the cookie, other sites cannot send it, other paths do not see it."""
    wk = closed_shop()
    browser = Browser(wk, scheme="https")
    token = make_login_token(wk.store, now=NOW)

    answer = browser.post("/login", form(browser.get(f"/login?token={token}")))
    cookie = header(answer, "set-cookie")

    assert cookie.startswith("watchkeeper_session=")
    assert {"HttpOnly", "Max-Age=43200", "Path=/watchkeeper", "SameSite=Lax", "Secure"} == set(
        cookie.split("; ")[1:]
    )


def test_without_tls_the_cookie_is_not_marked_secure():
    """On plain HTTP a browser would drop a cookie marked Secure."""
    wk = closed_shop()
    browser = Browser(wk)
    token = make_login_token(wk.store, now=NOW)

    answer = browser.post("/login", form(browser.get(f"/login?token={token}")))

    assert "Secure" not in header(answer, "set-cookie")


@pytest.mark.parametrize("root", ["/a;b", "/a b", "/a\r\nSet-Cookie: x=y", "/ä"])
def test_an_odd_root_cannot_write_into_the_cookie(root):
    """A root with odd characters gives a cookie for the whole host, not a broken header."""
    wk = closed_shop(password="open sesame")

    page = Browser(wk, root=root).get("/")

    assert "Path=/;" in header(page, "set-cookie") + ";"
    assert "\n" not in header(page, "set-cookie")


def test_a_forged_or_foreign_cookie_is_worth_nothing():
    """Only a cookie signed with this database's key opens the door."""
    wk = closed_shop()
    stranger = signed_in(closed_shop())
    browser = Browser(wk)

    for value in ("", "x", "a.b.c", stranger.cookies["watchkeeper_session"], "ä" * 50):
        browser.cookies = {"watchkeeper_session": value}
        assert 403 == browser.get("/").status


def test_a_form_token_is_no_session():
    """What is signed for one purpose opens nothing else."""
    browser = Browser(closed_shop(password="open sesame"))
    page = browser.get("/")

    browser.cookies["watchkeeper_session"] = fields(page)["csrf"]

    assert 403 == browser.get("/").status


def test_a_cookie_works_in_every_worker():
    """Workers share the signing key through the database."""
    wk = closed_shop()
    browser = signed_in(wk)
    other = Browser(wk)

    other.cookies = browser.cookies

    assert 200 == other.get("/").status


def test_signing_out_needs_the_session_s_own_form():
    """A form of another site cannot sign anybody out; the page's own button does."""
    browser = signed_in(closed_shop())
    page = browser.get("/")

    browser.post("/logout", "csrf=made-up")
    still_in = browser.get("/").status
    browser.post("/logout", form(page))

    assert (200, 403) == (still_in, browser.get("/").status)


def test_signing_in_needs_the_form_of_this_browser():
    """A token sent without our form, or from another site, signs nobody in."""
    wk = closed_shop()
    token = make_login_token(wk.store, now=NOW)
    browser = Browser(wk)
    page = browser.get(f"/login?token={token}")
    stranger = Browser(wk)

    assert 403 == stranger.post("/login", f"token={token}").status
    assert 403 == stranger.post("/login", form(page)).status
    assert 403 == browser.post("/login", form(page), sec_fetch_site="cross-site").status
    assert 303 == browser.post("/login", form(page)).status


def test_the_password_opens_the_dashboard():
    """With WATCHKEEPER_PASSWORD the closed page holds a form, and leads on to what was asked."""
    browser = Browser(closed_shop(password="open sesame"))

    page = browser.get("/errors/1")
    answer = browser.post("/login", form(page, password="open+sesame"))

    assert (403, 303) == (page.status, answer.status)
    assert "/watchkeeper/errors/1" == header(answer, "location")
    assert 200 == browser.get("/errors/1").status


@pytest.mark.parametrize("password", ["", "wrong", "open sesame ", "x" * 2_000, "%00", "%FF"])
def test_a_wrong_password_stays_outside(password):
    """Anything but the very password is refused."""
    browser = Browser(closed_shop(password="open sesame"))

    answer = browser.post("/login", form(browser.get("/"), password=password))

    assert 403 == answer.status
    assert 403 == browser.get("/").status


def test_an_unset_password_is_not_the_empty_one():
    """Without a password nobody gets in with an empty field."""
    wk = closed_shop()
    browser = Browser(wk)
    page = browser.get(f"/login?token={make_login_token(wk.store, now=NOW)}")

    answer = browser.post("/login", f"csrf={fields(page)['csrf']}&password=")

    assert 403 == answer.status


def test_guessing_is_slowed_down():
    """After five wrong passwords within a minute even the right one has to wait."""
    wk = closed_shop(password="open sesame")
    browser = Browser(wk)
    page = browser.get("/")

    statuses = [browser.post("/login", form(page, password="wrong")).status for _ in range(5)]
    blocked = browser.post("/login", form(page, password="open+sesame"))
    wk.now = NOW + 61
    later = browser.post("/login", form(page, password="open+sesame"))

    assert [403] * 5 == statuses
    assert (429, "60") == (blocked.status, header(blocked, "retry-after"))
    assert 303 == later.status


@pytest.mark.parametrize(
    ("answer", "status"), [(True, 200), (False, 403), (1, 403), (None, 403), ("yes", 403)]
)
def test_auth_decides_with_true_alone(answer, status):
    """Nothing but True lets in: a coroutine or an object would be true for everybody."""
    assert status == Browser(closed_shop(auth=lambda request: answer)).get("/").status


def test_an_auth_that_fails_lets_nobody_in():
    """A fault in the host's own function keeps the door closed."""

    def broken(request):
        raise RuntimeError(request.path)

    assert 403 == Browser(closed_shop(auth=broken)).get("/").status


def test_auth_sees_the_request():
    """The host decides from headers, as a proxy sets them."""
    wk = closed_shop(auth=lambda request: request.headers.get("x-user") == "ada")

    assert 200 == Browser(wk).get("/", x_user="ada").status
    assert 403 == Browser(wk).get("/", x_user="eve").status


@pytest.mark.parametrize(
    ("host", "client", "status"),
    [
        ("127.0.0.1:8000", "127.0.0.1", 200),
        ("localhost", "::1", 200),
        ("[::1]:8000", "::1", 200),
        ("evil.example", "127.0.0.1", 403),
        ("localhost.evil.example:80", "127.0.0.1", 403),
        ("127.0.0.1:8000", "10.0.0.7", 403),
        ("", "127.0.0.1", 403),
    ],
)
def test_the_open_demo_is_open_on_loopback_only(host, client, status):
    """Not even a web page that rebinds its name to loopback can read the demo."""
    request = Request(method="GET", root="", path="/", headers={"host": host}, client=client)

    assert status == Dashboard(watched(made_shop())).handle(request).status


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("/errors/1?range=6h&end=5", "/errors/1?range=6h&end=5"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/a\r\nset-cookie: x=y", "/"),
        ("/login", "/"),
        ("/ä", "/"),
        ("", "/"),
        ("/" + "x" * 600, "/"),
    ],
)
def test_signing_in_leads_nowhere_else(path, safe):
    """After signing in a browser stays below the dashboard's root."""
    assert safe == safe_next(path)


def test_with_the_database_away_nobody_new_comes_in():
    """The key cannot be read, so the door stays closed, and the page says why."""

    class Away(MemoryStore):
        """A store that does not answer."""

        def meta(self, key):
            """Refuse."""
            raise StorageUnavailableError("connection refused db:5432")

    browser = Browser(watched(Away(), release=""))
    browser.cookies["watchkeeper_session"] = "a.b.c"

    page = browser.get("/")

    assert 503 == page.status
    assert "UNKNOWN" in text(page)
    assert "db:5432" not in text(page)


def entries(wk):
    """Return what was written down of this dashboard, the oldest first."""
    found = wk.store.audits(
        service=wk.scope.service,
        environment=wk.scope.environment,
        since=0,
        until=1e12,
        limit=99,
    )
    return found[::-1]


def test_who_comes_and_goes_is_written_down():
    """A session is named from its beginning to its end; how it began is told."""
    wk = closed_shop()
    token = make_login_token(wk.store, now=wk.now)
    browser = Browser(wk)
    browser.post("/login", form(browser.get(f"/login?token={token}")))
    session = browser.cookies["watchkeeper_session"]
    browser.post("/logout", form(browser.get("/")))

    began, ended = entries(wk)

    assert ("session.begin", {"way": "link", "link": mention(token)}) == (
        began.action,
        began.data,
    )
    assert "session.end" == ended.action
    assert re.fullmatch(r"session [0-9a-f]{8}", began.actor)
    assert began.actor == ended.actor
    assert NOW == began.at == ended.at
    assert token not in repr((began, ended))
    assert session not in repr((began, ended))
    assert "127.0.0.1" not in repr((began, ended))


def test_who_comes_with_the_password_is_written_down():
    """The password itself is not."""
    wk = closed_shop(password="very-secret")
    browser = Browser(wk)
    browser.post("/login", form(browser.get("/login"), password="very-secret"))

    (began,) = entries(wk)

    assert {"way": "password"} == began.data
    assert "very-secret" not in repr(began)


def test_who_does_not_come_in_writes_nothing():
    """Somebody who tries passwords cannot fill the table."""
    wk = closed_shop(password="very-secret")
    browser = Browser(wk)
    browser.post("/login", form(browser.get("/login"), password="guess"))
    browser.post("/logout", "csrf=made-up")

    assert [] == entries(wk)
