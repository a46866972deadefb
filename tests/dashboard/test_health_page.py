"""Health for those signed in: the page, and what strangers do not see."""

import time

import pytest
from dashboards import NOW, Browser, header, made_shop, text, watched

from watchkeeper.core.health import FAIL_AFTER
from watchkeeper.dashboard.health import uptime_text
from watchkeeper.dashboard.views_health import UptimeFigures
from watchkeeper.runtime.checks import make_check
from watchkeeper.runtime.health import Health
from watchkeeper.storage.memory import MemoryStore

HTML = {"accept": "text/html,*/*;q=0.8"}


def hostile() -> None:
    raise ConnectionError("<script>alert(1)</script> refused")


def failing() -> Health:
    """Health with a check whose words are markup, run until it has failed."""
    health = Health([make_check("<b>pay</b>", hostile)], clock=lambda: NOW)
    health.started = True
    for turn in range(FAIL_AFTER):
        health.run_due(NOW + 30 * turn)
        deadline = time.monotonic() + 10
        while health._running:
            assert time.monotonic() < deadline
            time.sleep(0.002)
    return health


def browser(store: MemoryStore | None = None, **settings: object) -> Browser:
    wk = watched(made_shop() if store is None else store, **settings)
    wk.health = failing()
    return Browser(wk)


def test_the_page_shows_each_check_with_its_uptimes():
    """It looks like the rest, is 503 as the document would be, and escapes what checks say."""
    response = browser().get("/health", **HTML)

    page = text(response)
    assert 503 == response.status
    assert "no-store" == header(response, "cache-control")
    assert "A critical health check fails." in page
    assert "&lt;b&gt;pay&lt;/b&gt;" in page
    assert "ConnectionError: &lt;script&gt;alert(1)&lt;/script&gt; refused" in page
    assert "<dt>Uptime 30d</dt><dd>unknown</dd>" in page
    assert "<script" not in page


def test_a_stranger_sees_one_word():
    """Whoever is not signed in is shown the level and where to sign in."""
    response = browser(password="not-a-real-one").get("/health", **HTML)

    page = text(response)
    assert 503 == response.status
    assert "<strong>CRITICAL</strong>" in page
    assert "/watchkeeper/login" in page
    assert "pay" not in page
    assert "refused" not in page


@pytest.mark.parametrize(
    ("settings", "status"), [({}, 200), ({"password": "not-a-real-one"}, 503)]
)
@pytest.mark.parametrize("headers", [HTML, {}, {"accept": "text/plain"}])
def test_only_those_signed_in_leave_checks_out(settings, status, headers):
    """A stranger would learn by the answer which check it is that fails."""
    response = browser(**settings).get("/health?exclude=<b>pay</b>", **headers)

    assert status == response.status


def test_without_a_database_the_page_shows_what_memory_knows():
    """The checks are told all the same; of uptimes it says that they are not known."""
    wk = watched(None)
    wk.health = failing()

    page = text(Browser(wk).get("/health", **HTML))

    assert "&lt;b&gt;pay&lt;/b&gt;" in page
    assert "Uptimes are not known" in page


def test_a_cookie_that_cannot_be_looked_at_is_a_strangers():
    """With the database away and no key in memory nobody is let in, and the probe answers."""
    wk = watched(None, password="not-a-real-one")
    wk.health = failing()

    response = Browser(wk).get("/health", cookie="watchkeeper_session=made-up")

    assert (503, '{"status":"fail"}') == (response.status, text(response))


def test_what_nobody_knows_is_not_said_to_work():
    """A critical check without a result leaves open how the service is; the page says so."""
    wk = watched(made_shop())
    wk.health = Health([make_check("pay", hostile)], clock=lambda: NOW)
    wk.health.started = True

    page = text(Browser(wk).get("/health", **HTML))

    assert "<strong>UNKNOWN</strong>" in page
    assert "Nobody knows whether the service works: 1 critical check has no result." in page


def test_without_checks_the_page_says_so():
    """No checks are no failure: the process serves."""
    wk = watched(made_shop())
    wk.health.started = True

    page = text(Browser(wk).get("/health", **HTML))

    assert "No health checks are set." in page


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (None, "unknown"),
        (1.0, "100 %"),
        (0.9999999, "99.999 %"),
        (0.5, "50.0 %"),
        (0, "0.0 %"),
    ],
)
def test_an_uptime_is_rounded_down(share, expected):
    """100 % is never said of less, and unknown is no number."""
    failed_s = 0.0 if share is None else (1 - share) * 3_600
    known_s = 0.0 if share is None else 3_600.0
    assert expected == uptime_text(figures(known_s - failed_s, failed_s, share=share))


@pytest.mark.parametrize(
    ("pass_s", "fail_s", "expected"),
    [
        (191.0, 0.0, "100 % of 3 min"),
        (30.0, 10.0, "75.0 % of 40 s"),
        (3_570.0, 0.0, "100 %"),
    ],
)
def test_an_uptime_of_little_says_of_how_much(pass_s, fail_s, expected):
    """Three minutes without a failure are no good hour; a restart in between takes nothing."""
    assert expected == uptime_text(figures(pass_s, fail_s, share=pass_s / (pass_s + fail_s)))


def figures(pass_s: float, fail_s: float, *, share: float | None) -> UptimeFigures:
    return UptimeFigures(
        start=NOW - 3_600,
        end=NOW,
        share=share,
        pass_s=pass_s,
        warn_s=0.0,
        fail_s=fail_s,
        unknown_s=3_600 - pass_s - fail_s,
    )


def test_uptime_over_a_month_from_the_api():
    """`over` asks for longer spans than figures are shown of, up to 90 days."""
    asked = Browser(watched(made_shop()))

    month = asked.get("/api/v1/health.json?over=30d")
    wrong = [asked.get(f"/api/v1/health.json?over={over}").status for over in ("91d", "1s", "x")]

    assert 200 == month.status
    assert f'"start":{NOW - 30 * 86_400}' in text(month)
    assert [400, 400, 400] == wrong
