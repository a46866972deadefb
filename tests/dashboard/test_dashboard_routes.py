"""The dashboard's addresses, and what every answer carries."""

import gzip
import json
import time
from dataclasses import replace

import pytest
from dashboards import NOW, SCOPE, Browser, header, made_shop, text, watched

from watchkeeper.core.metrics import Scope
from watchkeeper.dashboard.charts import CHARTS
from watchkeeper.exceptions import StorageUnavailableError
from watchkeeper.runtime.guard import take_errors
from watchkeeper.runtime.triage import Triage
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import MarkKind, Release

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@pytest.fixture
def browser():
    """A browser at the shop's open dashboard."""
    return Browser(watched(made_shop()))


class Away(MemoryStore):
    """A store that was there and does not answer any more."""

    def rolled_until(self, resolution, *, since):
        """Refuse."""
        raise StorageUnavailableError("connection refused db:5432")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("", 200),
        ("/live", 200),
        ("/errors/1", 200),
        ("/errors/1/", 200),
        ("/charts/latency", 200),
        ("/api/v1/overview.json", 200),
        ("/api/v1/series.json", 200),
        ("/?range=6h&end=1799990000", 200),
        ("/?range=2weeks", 400),
        ("/api/v1/series.json?end=x", 400),
        ("/?" + "&".join(f"a{number}=1" for number in range(50)), 400),
        ("/errors/999", 404),
        ("/errors/x", 404),
        ("/errors/-1", 404),
        ("/errors/" + "9" * 40, 404),
        ("/errors/١", 404),
        ("/charts/nope", 404),
        ("/static/dashboard.css", 404),
        ("/static/../routes.py", 404),
        ("/nowhere", 404),
        ("/logout", 405),
    ],
)
def test_every_address_answers(browser, path, status):
    """Each page is there, and what is not there says so; every answer carries the policy."""
    answer = browser.get(path)

    assert status == answer.status
    assert POLICY == header(answer, "content-security-policy")
    assert "nosniff" == header(answer, "x-content-type-options")
    assert "no-referrer" == header(answer, "referrer-policy")
    assert "no-store" == header(answer, "cache-control")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_other_methods_are_refused(browser, method):
    """The dashboard only shows: nothing but reading and forms is allowed."""
    assert (405, "GET, HEAD, POST") == (
        browser.send(method, "/").status,
        header(browser.send(method, "/"), "allow"),
    )


def test_pages_take_no_forms(browser):
    """A form sent to a page changes nothing."""
    assert 405 == browser.post("/", "a=b").status


def test_head_answers_without_a_body(browser):
    """HEAD is GET without its body."""
    answer = browser.send("HEAD", "/")

    assert (200, b"") == (answer.status, answer.body)


def test_every_link_is_built_from_the_root():
    """Behind a mount and a proxy prefix every address on the page begins with them."""
    page = text(Browser(watched(made_shop()), root="/shop/ops/wk").get("/"))

    addresses = [
        part.split('"')[0] for name in ('href="', 'src="') for part in page.split(name)[1:]
    ]

    assert 20 < len(addresses)
    assert all(one.startswith(("/shop/ops/wk/", "#")) for one in addresses)


def test_a_dashboard_at_the_root_of_a_host_works():
    """An empty root, as of a mount at "/", gives plain paths."""
    page = text(Browser(watched(made_shop()), root="").get("/"))

    assert 'href="/errors/1"' in page
    assert 'href="//' not in page


def test_the_overview_answers_its_questions(browser):
    """Is it well, since when not, how bad, which route, which error: all on the first page."""
    page = text(browser.get("/"))

    for told in (
        "CRITICAL",
        "High error rate",
        "7.4 % (31 of 420 in 1 min) &gt; 5 %",
        "07:45",
        "(15 min)",
        "07:00–08:00 UTC",
        "data 1 s old",
        "/checkout",
        "KeyError: &#39;sku&#39;",
        "PaymentTimeout: gateway did not answer in &lt;n&gt; s",
        "×168",
        "2 processes on 2 hosts",
        "vs previous 1 h",
        "Nobody is told",
    ):
        assert told in page, told


def test_navigation_shows_only_what_exists(browser):
    """No link on the overview leads to a page that is not there."""
    page = text(browser.get("/"))
    links = {
        part.split('"')[0].replace("&amp;", "&").removeprefix("/watchkeeper")
        for part in page.split('href="')[1:]
    } - {"#main"}

    assert {200} == {browser.get(link).status for link in links}


def test_a_calm_application_is_ok():
    """With fresh data and nothing firing the page is green."""
    page = text(Browser(watched(made_shop(incident=False))).get("/"))

    assert 'class="status ok"' in page
    assert "No alert is firing." in page
    assert "No errors in this range." in page


def test_an_application_never_seen_is_unknown_and_says_what_to_do():
    """The empty page names the next step."""
    page = text(Browser(watched(MemoryStore())).get("/"))

    assert 'class="status unknown"' in page
    assert "No requests seen yet" in page
    assert "Open any page of your application" in page


def test_data_that_stopped_are_unknown():
    """An application that fell silent is not shown as it last was."""
    wk = watched(made_shop(incident=False))
    wk.now = NOW + 120

    page = text(Browser(wk).get("/"))

    assert 'class="status unknown"' in page
    assert "No data for 2 min 1 s." in page


@pytest.mark.parametrize("store", [None, Away()])
def test_a_store_that_does_not_answer_is_said_plainly(store):
    """Without the database the page is unknown, with the reason, and never green."""
    browser = Browser(watched(store))

    page, answer = browser.get("/"), browser.get("/api/v1/overview.json")

    assert (503, 503) == (page.status, answer.status)
    assert 'class="card message status unknown"' in text(page)
    assert "UNKNOWN" in text(page)
    assert "unknown" == json.loads(answer.body)["status"]["level"]


def test_why_the_store_cannot_be_opened_is_told():
    """What the start line says of the database is on the page as well."""
    wk = watched(None)
    wk.failure = "database is postgresql:// but no driver is installed"

    assert "no driver is installed" in text(Browser(wk).get("/"))


def test_problems_of_the_settings_are_shown():
    """A setting that could not be used is told where somebody looks."""
    wk = watched(made_shop())
    wk.problems.append('unknown setting "retension_days"')

    assert "unknown setting &#34;retension_days&#34;" in text(Browser(wk).get("/"))


def test_a_fault_of_ours_is_our_own_small_page():
    """An error in the dashboard is counted, and never reaches the host's error page."""

    class Broken(MemoryStore):
        """A store with a bug."""

        def find_issues(self, search):
            """Fail."""
            raise ZeroDivisionError

    take_errors()

    answer = Browser(watched(Broken())).get("/")

    assert 500 == answer.status
    assert b"The fault is in Watchkeeper" in answer.body
    assert POLICY == header(answer, "content-security-policy")
    assert {"dashboard": 1} == take_errors()


def test_overview_json_is_what_the_page_shows(browser):
    """A program gets the same numbers with the same parameters."""
    content = json.loads(browser.get("/api/v1/overview.json?range=1h").body)

    assert "critical" == content["status"]["level"]
    assert ("shop-api", 2) == (content["service"], content["workers"])
    assert "/checkout" == content["routes"][0]["route"]
    assert 0 < content["figures"]["error_rate"] < 1
    assert "points" not in content


def test_series_json_has_one_value_per_point_and_line(browser):
    """A chart's numbers are a GET that anybody can repeat; a gap is null."""
    content = json.loads(browser.get("/api/v1/series.json?range=6h").body)

    assert {"rate", "errors", "latency", "resources"} == set(content["charts"])
    for chart in content["charts"].values():
        for line in chart["lines"]:
            assert len(content["times"]) == len(line["values"])
    assert None in content["charts"]["rate"]["lines"][0]["values"]
    assert [
        {"start": NOW - 900, "end": NOW, "severity": "critical", "rule": "High error rate"}
    ] == (content["marks"])


def test_releases_are_drawn_and_listed():
    """Each mark of the window is in the charts' numbers and in words above them."""
    store = made_shop()
    for one in (
        Release(scope=replace(SCOPE, release="<b>v3</b>"), at=NOW - 600),
        Release(scope=replace(SCOPE, release="v2.31"), at=NOW - 60, kind=MarkKind.RETURN),
    ):
        store.mark_release(one)
    browser = Browser(watched(store))

    content = json.loads(browser.get("/api/v1/series.json?range=15m").body)
    page = text(browser.get("/?range=15m"))

    assert [
        {"release": "v2.31", "at": NOW - 60, "kind": "return"},
        {"release": "<b>v3</b>", "at": NOW - 600, "kind": "new"},
    ] == content["releases"]
    assert "<b>↩ back to v2.31</b>" in page
    assert "<b>&lt;b&gt;v3&lt;/b&gt;</b>" in page


def test_a_page_s_charts_are_not_composed_twice():
    """The script that asks right after its page gets the same overview from memory."""
    asked = []

    class Counting(MemoryStore):
        """Counts how often frames are read."""

        def rolled_until(self, resolution, *, since):
            """Note it and answer."""
            asked.append(1)
            return super().rolled_until(resolution, since=since)

    wk = watched(Counting())
    browser = Browser(wk)

    for path in ("/", "/api/v1/series.json", "/live"):
        browser.get(path)
    wk.now += 10
    browser.get("/live")

    assert 2 == len(asked)


def test_what_is_kept_in_memory_is_bounded():
    """A visitor who steps through a thousand windows does not fill the host's memory."""
    browser = Browser(watched(MemoryStore()))

    for number in range(50):
        browser.get(f"/?range=15m&end={int(NOW) - 1_000 - number}")

    assert 8 == len(browser.dashboard._kept)


@pytest.mark.parametrize("path", ["/live", "/api/v1/series.json", "/api/v1/overview.json"])
def test_data_are_compressed_for_browsers_that_take_it(browser, path):
    """What is fetched again and again is sent small."""
    plain = browser.get(path)
    packed = browser.get(path, accept_encoding="br, gzip;q=0.8")

    assert "" == header(plain, "content-encoding")
    assert "gzip" == header(packed, "content-encoding")
    assert plain.body == gzip.decompress(packed.body)


def test_a_page_with_a_secret_is_never_compressed(browser):
    """A page that holds a form's token is sent plain, so that its length tells nothing."""
    assert "" == header(browser.get("/", accept_encoding="gzip"), "content-encoding")


def test_the_page_budget_holds(browser):
    """The first page stays below 100 kB on the wire, a refresh below 15 kB."""
    from watchkeeper.dashboard.assets import assets

    static = sum(len(asset.packed) for asset in assets().values())
    page = len(browser.get("/").body)
    numbers = len(browser.get("/api/v1/series.json?range=24h", accept_encoding="gzip").body)
    fresh = len(browser.get("/live?range=24h", accept_encoding="gzip").body)

    assert static + page + numbers < 100_000
    assert numbers + fresh < 15_000


@pytest.mark.parametrize("chart", [one.id for one in CHARTS])
def test_every_chart_has_a_sentence_and_a_table(browser, chart):
    """Who cannot see a chart reads the same from a sentence, and each number from a table."""
    overview, table = text(browser.get("/")), text(browser.get(f"/charts/{chart}?range=6h"))

    assert f'id="swap-sum-{chart}"' in overview
    assert f'href="/watchkeeper/charts/{chart}?range=1h"' in overview
    assert "no data" in table
    assert "2027-01-15 07:59:00 UTC" in table
    assert 361 == table.count("<tr>")


def test_the_issue_page_leads_to_the_line_that_failed(browser):
    """The frame of the application that raised is open with its source, libraries are folded."""
    page = text(browser.get("/errors/1"))

    opened = page.split('<details class="frame app" open>')

    assert 2 == len(opened)
    assert "shop/payments.py:88" in opened[1]
    assert "raise PaymentTimeout(f&#34;gateway did not answer in {t} s&#34;)" in opened[1]
    assert "2 frames in starlette, anyio" in page
    assert "Caused by" in page
    for told in ("168", "req-77", "o-4711", "v2.31", "place: shop.payments:charge", "07:46"):
        assert told in page, told


def test_an_issue_without_an_event_keeps_its_counts():
    """When the stored events are gone, the page says so and shows what is known."""
    store = made_shop()
    store.prune_events(before=NOW + 1, limit=10_000)

    page = text(Browser(watched(store)).get("/errors/1"))

    assert "No event of this issue is stored any more" in page
    assert "168" in page


def test_what_was_done_with_an_issue_is_shown():
    """Its state in words; an ignored one is not among the newest errors."""
    store = made_shop()
    who = Triage(store, SCOPE, actor="cli alice", now=NOW)
    for number in (1, 2, 3):
        who.resolve(number) if number == 1 else who.ignore(number)

    overview, page = (text(Browser(watched(store)).get(path)) for path in ("/", "/errors/1"))

    assert '<span class="tag quiet">resolved</span>' in overview
    assert "/errors/1" in overview
    assert "/errors/2" not in overview
    assert "<dt>State</dt><dd>resolved by cli alice</dd>" in page


def test_a_mute_tells_how_long_it_lasts():
    """The page says by whom, and until when."""
    store = made_shop()
    Triage(store, SCOPE, actor="cli alice", now=NOW).mute(1, users=900)

    page = text(Browser(watched(store)).get("/errors/1"))

    assert "<dt>State</dt><dd>muted by cli alice until 900 users</dd>" in page


def test_an_issue_of_another_service_is_not_shown():
    """A shared database does not show one service's errors on another's dashboard."""
    wk = watched(made_shop())
    wk.scope = Scope(service="billing", environment=SCOPE.environment)

    assert 404 == Browser(wk).get("/errors/1").status


def test_an_expensive_page_is_refreshed_less_often():
    """A page left open takes at most a twentieth of a core, however much there is to read."""

    class Laborious(MemoryStore):
        """A store that needs six tenths of a second of CPU."""

        def rolled_until(self, resolution, *, since):
            """Work, then answer."""
            end = time.thread_time() + 0.6
            while time.thread_time() < end:
                pass
            return super().rolled_until(resolution, since=since)

    cheap, dear = (
        json.loads(Browser(watched(store)).get("/api/v1/series.json?range=15m").body)["refresh_s"]
        for store in (MemoryStore(), Laborious())
    )

    assert 10.0 == cheap
    assert 12.0 <= dear
