"""The dashboard in a real browser: nothing blocked, nothing logged, charts drawn, kept fresh."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from dashboards import NOW, SCOPE, fire, made_shop, served, watched

from watchkeeper.dashboard.access import make_login_token
from watchkeeper.exceptions import StorageUnavailableError
from watchkeeper.runtime.signed_links import Purpose, sign, signing_key

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ARGUMENTS = (
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
)
LAPTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
DRAWN = """() => [...document.querySelectorAll(".plot canvas")].map((canvas) => {
    const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return all.some((value) => value !== 0);
})"""


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """Start the machine's own Chromium; without one, skip here and fail on CI."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        reason = "needs Chromium: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@dataclass
class Heard:
    """What a page complained of, and which hosts it asked."""

    messages: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)


@pytest.fixture
def context(chromium: "Browser") -> Iterator["BrowserContext"]:
    """A browser without history, cookies or cache."""
    context = chromium.new_context(viewport=LAPTOP)
    yield context
    context.close()


def listened(context: "BrowserContext") -> tuple["Page", Heard]:
    """Open a page and note every console message, error, CSP violation and request."""
    page, heard = context.new_page(), Heard()
    page.on("console", lambda message: heard.messages.append(message.text))
    page.on("pageerror", lambda error: heard.messages.append(str(error)))
    page.on("request", lambda request: heard.addresses.append(request.url))
    page.expose_function("noted", lambda text: heard.messages.append(text))
    page.add_init_script(
        "addEventListener('securitypolicyviolation',"
        " (event) => noted(`blocked: ${event.violatedDirective} ${event.blockedURI}`))"
    )
    return page, heard


def wait_for_charts(page: "Page") -> None:
    """Wait until all four charts are there."""
    page.locator(".plot canvas").nth(3).wait_for()  # no script: the page's policy forbids any
    assert 4 == page.locator(".plot canvas").count()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [LAPTOP, PHONE])
def test_pages_load_clean_and_draw_their_charts(chromium, viewport, scheme):
    """On a laptop and a phone, light and dark: nothing blocked, nothing logged, nothing wide."""
    context = chromium.new_context(viewport=viewport, color_scheme=scheme)
    with served(watched(made_shop())) as url:
        page, heard = listened(context)
        for path in ("/", "/?range=15m", "/?range=24h", "/errors/1", "/charts/latency"):
            page.goto(url + path)
            if "range" in path or path == "/":
                wait_for_charts(page)
                assert [True] * 4 == page.evaluate(DRAWN)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert viewport["width"] == width, path
    context.close()

    assert [] == heard.messages
    assert {url} == {address[: len(url)] for address in heard.addresses}


def test_the_first_page_takes_few_requests(context):
    """A cold visit needs at most eight requests, all of them to the same host."""
    with served(watched(made_shop())) as url:
        page, heard = listened(context)
        page.goto(url)
        wait_for_charts(page)

    assert 8 >= len(heard.addresses)


def test_refreshing_swaps_figures_but_neither_scroll_nor_focus(context):
    """New data appear by themselves; the reader stays where she was, and hears what changed."""
    wk = watched(made_shop(incident=False), open_access=True, slot="1s")
    wk.now = NOW + 0.5
    with served(wk) as url:
        page, heard = listened(context)
        page.goto(f"{url}/?range=15m")
        wait_for_charts(page)
        assert "OK" in page.inner_text("#status-line")
        page.focus('.ranges a[href$="range=6h"]')
        page.evaluate("scrollTo(0, 120)")
        top = "document.querySelector('[data-chart=latency]').getBoundingClientRect().top"
        before = page.evaluate(top)
        canvas = page.evaluate_handle("document.querySelector('.plot canvas')")

        fire(wk.store, now=NOW)
        wk.now = NOW + 4
        page.wait_for_selector("#swap-status.critical", timeout=20_000)

        assert page.evaluate("document.activeElement.href").endswith("range=6h")
        assert pytest.approx(before, abs=1) == page.evaluate(top)
        assert "High error rate" in page.inner_text("#news")
        assert page.title().startswith("▲ critical")
        assert page.evaluate("(old) => old.isConnected", canvas)
        assert [] == heard.messages


def test_a_frozen_window_is_not_refreshed(context):
    """A link to an incident's hour shows that hour and leaves it alone."""
    with served(watched(made_shop())) as url:
        page, _ = listened(context)
        page.goto(f"{url}/?range=1h&end={int(NOW) - 600}")
        wait_for_charts(page)

        assert page.get_attribute("body", "data-refresh") is None
        assert "06:50–07:50 UTC" in page.inner_text(".when")
        page.click("text=Now")
        assert "range=1h" == page.url.partition("?")[2]


def test_a_dashboard_that_stops_answering_does_not_stay_green(context):
    """When a refresh fails the page says UNKNOWN instead of showing the last good answer."""
    wk = watched(made_shop(incident=False), open_access=True, slot="1s")
    wk.now = NOW + 0.5
    with served(wk) as url:
        page, _ = listened(context)
        page.goto(f"{url}/?range=15m")
        wait_for_charts(page)
        assert "OK" in page.inner_text("#status-line")

        def away(*args: object, **given: object) -> None:
            raise StorageUnavailableError("connection refused")

        wk.store = type("Away", (type(wk.store),), {"rolled_until": away})()
        wk.now = NOW + 4
        page.wait_for_selector("#swap-status.unknown", timeout=20_000)

        assert "UNKNOWN" in page.inner_text("#status-line")
        assert "the dashboard answered 503" in page.inner_text("#status-line")


def test_dragging_over_a_chart_zooms_and_the_address_says_so(context):
    """What was dragged over becomes the window, with an address that can be sent on."""
    with served(watched(made_shop())) as url:
        page, heard = listened(context)
        page.goto(url)
        wait_for_charts(page)
        box = page.locator("[data-chart=rate] .u-over").bounding_box()
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] * 0.25, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.75, middle, steps=5)
        page.mouse.up()
        page.wait_for_url(re.compile(r"range=\d+s&end=\d+"))
        wait_for_charts(page)
        span, end = map(int, re.findall(r"\d+", page.url.partition("?")[2]))

        assert 1_700 < span < 1_900
        assert abs(NOW - 900 - end) < 60
        assert [] == heard.messages


def test_a_chart_shows_exact_values_under_the_pointer_in_all_charts(context):
    """The pointer on one chart shows the values of that moment in every chart."""
    with served(watched(made_shop())) as url:
        page, _ = listened(context)
        page.goto(url)
        wait_for_charts(page)
        page.hover("[data-chart=rate] .u-over")

        assert "UTC" in page.inner_text("[data-chart=latency] .u-legend")
        assert "ms" in page.inner_text("[data-chart=latency] .u-legend")
        assert "%" in page.inner_text("[data-chart=resources] .u-legend")


def test_a_one_time_link_signs_in_once(chromium):
    """The link and its button open the dashboard; the same link opens nothing a second time."""
    wk = watched(made_shop(), release="")
    token = make_login_token(wk.store, now=NOW)
    with served(wk) as url:
        first, second = chromium.new_context(), chromium.new_context()
        page, heard = listened(first)
        assert 403 == page.goto(url).status
        page.goto(f"{url}/login?token={token}")
        page.click("button")
        page.wait_for_selector("#swap-status")
        wait_for_charts(page)
        late, _ = listened(second)
        late.goto(f"{url}/login?token={token}")
        late.click("button")

        assert "used already" in late.inner_text("h1")
        assert token not in page.url
        cookie = next(one for one in first.cookies() if one["name"] == "watchkeeper_session")
        assert (True, "Lax", "/watchkeeper") == (
            cookie["httpOnly"],
            cookie["sameSite"],
            cookie["path"],
        )
        assert all("403" in message for message in heard.messages)
        page.click("text=Sign out")
        assert 403 == page.goto(url).status
        first.close()
        second.close()


def test_everything_but_the_charts_works_without_javascript(chromium):
    """Without scripts the figures, tables and links are all there."""
    context = chromium.new_context(java_script_enabled=False)
    with served(watched(made_shop())) as url:
        page = context.new_page()
        page.goto(url)

        assert "CRITICAL" in page.inner_text("#status-line")
        assert "Charts need JavaScript" in page.inner_text("[data-chart=rate]")
        page.click("text=show as table >> nth=0")
        assert "2027-01-15 07:59:00 UTC" in page.inner_text("table")
    context.close()


def test_the_keyboard_reaches_everything_and_skips_to_the_content(context):
    """The first Tab offers to skip to the content, and the focus can be seen."""
    with served(watched(made_shop())) as url:
        page, _ = listened(context)
        page.goto(url)
        page.keyboard.press("Tab")

        assert "Skip to content" == page.evaluate("document.activeElement.textContent")
        page.keyboard.press("Enter")
        assert "main" == page.evaluate("document.activeElement.id")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_message_is_answered_on_a_phone_without_a_script(chromium, scheme):
    """The links of a message fit on a phone, and their forms act with scripts switched off."""
    store = made_shop()
    (incident,) = store.incidents(
        service=SCOPE.service, environment=SCOPE.environment, states=("firing",), since=0, limit=1
    )
    key = signing_key(store)
    context = chromium.new_context(viewport=PHONE, color_scheme=scheme, java_script_enabled=False)
    page = context.new_page()
    with served(watched(store, password="made up for this test")) as url:
        page.goto(f"{url}/silence?t={sign(key, incident.id, Purpose.SILENCE, at=NOW)}")
        assert PHONE["width"] >= page.locator("main").bounding_box()["width"]
        assert PHONE["width"] >= page.locator("fieldset").first.bounding_box()["width"]
        page.get_by_label("4 h", exact=True).check()
        page.get_by_label("Your name").fill("ada")
        page.get_by_role("button", name="Silence").click()
        assert "Silenced" in page.locator("h1").inner_text()
        page.goto(f"{url}/ack?t={sign(key, incident.id, Purpose.ACKNOWLEDGE, at=NOW)}")
        page.get_by_label("Your name").fill("ada")
        page.get_by_role("button", name="I have it").click()
        assert "It is yours" in page.locator("h1").inner_text()
    context.close()

    (silence,) = store.silences(service=SCOPE.service, environment=SCOPE.environment, limit=9)
    assert NOW + 4 * 3_600 == silence.ends_at
    acknowledged = store.incident(incident.id)
    assert acknowledged is not None
    assert "ada" == acknowledged.acked_by
