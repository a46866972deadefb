"""Take a picture of the dashboard, of the demo's by default, with the machine's own Chromium.

python scripts/screenshot.py [FILE] [--url URL] [--dark] [--phone]

Without --url the demo is started on a free port, the picture is taken while its first incident is
critical, and the demo is ended again.
"""

import argparse
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs/images/overview.png"
MAX_BYTES = 250_000
INCIDENT_MS = 120_000
SETTLE_MS = 30_000  # the rise is in the charts by then, not only in the status line
END_S = 20.0
LAPTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
)
ALL_DRAWN = "[...document.querySelectorAll('.plot')].every((box) => box.querySelector('canvas'))"
CRITICAL = "#swap-status[data-level=critical]"
MARGIN_PX = 12


def main() -> int:
    """Read the arguments, see to a page that is served, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", default=PICTURE)
    parser.add_argument("--url", help="a dashboard that runs already; default: the demo's")
    parser.add_argument("--dark", action="store_true", help="as with a dark system theme")
    parser.add_argument("--phone", action="store_true", help="390 pixels wide, the whole page")
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("needs Chromium: apt-get install chromium", file=sys.stderr)
        return 1
    if given.url:
        take(given.url, given, chromium)
    else:
        with demo() as url:
            take(url, given, chromium)
    size_bytes = given.file.stat().st_size
    print(f"{given.file}: {size_bytes} bytes")
    if size_bytes > MAX_BYTES:
        print(f"larger than {MAX_BYTES} bytes", file=sys.stderr)
        return 1
    return 0


def take(url: str, given: argparse.Namespace, chromium: str) -> None:
    """Load a page, wait for its charts (and the demo's incident), and write the picture."""
    given.file.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        page = browser.new_page(
            viewport=PHONE if given.phone else LAPTOP,
            color_scheme="dark" if given.dark else "light",
        )
        page.goto(url)
        if not given.url:
            page.wait_for_selector(CRITICAL, timeout=INCIDENT_MS)
            page.wait_for_timeout(SETTLE_MS)
            page.goto(url)
        page.wait_for_function(ALL_DRAWN)
        if given.phone:
            page.screenshot(path=given.file, full_page=True)
        else:
            page.screenshot(path=given.file, full_page=True, clip=down_to_the_charts(page))
        browser.close()


def down_to_the_charts(page: Page) -> dict[str, float]:
    """Return the part of the page from its top to the end of its charts, none of them cut."""
    box = page.locator(".charts").bounding_box()
    height = box["y"] + box["height"] + MARGIN_PX if box else LAPTOP["height"]
    return {"x": 0, "y": 0, "width": LAPTOP["width"], "height": height}


@contextmanager
def demo() -> Iterator[str]:
    """Run the demo in a process of its own until it is no longer needed; gives its dashboard.

    Raises SystemExit if the demo ends before it says where its dashboard is.
    """
    running = subprocess.Popen(
        [sys.executable, "-m", "watchkeeper.cli", "demo"], stdout=subprocess.PIPE, text=True
    )
    try:
        yield dashboard_of(running)
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()


def dashboard_of(running: subprocess.Popen[str]) -> str:
    """Return the address of the dashboard as soon as the demo prints it."""
    for line in running.stdout or ():
        word, _, rest = line.partition(" ")
        if word == "dashboard":
            return rest.strip()
    raise SystemExit("the demo ended before its dashboard was there")


if __name__ == "__main__":
    sys.exit(main())
