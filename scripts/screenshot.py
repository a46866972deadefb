"""Take a picture of a dashboard that is being served, with the machine's own Chromium.

python scripts/screenshot.py http://127.0.0.1:8000/watchkeeper/ overview.png [--dark] [--phone]
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

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


def main() -> int:
    """Read the arguments, load the page, wait for its charts and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    parser.add_argument("--dark", action="store_true", help="as with a dark system theme")
    parser.add_argument("--phone", action="store_true", help="390 pixels wide, the whole page")
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("needs Chromium: apt-get install chromium", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        page = browser.new_page(
            viewport=PHONE if given.phone else LAPTOP,
            color_scheme="dark" if given.dark else "light",
        )
        page.goto(given.url)
        page.wait_for_function(ALL_DRAWN)
        given.file.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=given.file, full_page=given.phone)
        browser.close()
    print(f"{given.file}: {given.file.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
