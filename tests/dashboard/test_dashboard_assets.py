"""The static files: what is vendored, what is ours, and how both are served."""

import gzip
import hashlib
from importlib.resources import files

import pytest
from dashboards import Browser, header, watched

from watchkeeper.dashboard.assets import assets

FOLDER = files("watchkeeper.dashboard") / "static"


def test_vendored_files_are_those_that_were_checked():
    """Each vendored file has the checksum that VENDORED.txt names, and none is unnamed."""
    vendor = FOLDER / "vendor"
    lines = vendor.joinpath("VENDORED.txt").read_text().splitlines()
    named = {name: digest for digest, _, name in (line.partition("  ") for line in lines) if name}

    found = {
        entry.name: hashlib.sha256(entry.read_bytes()).hexdigest()
        for entry in vendor.iterdir()
        if entry.name != "VENDORED.txt"
    }

    assert {"uPlot.iife.min.js", "uPlot.min.css", "uPlot-LICENSE.txt"} == set(found)
    assert found == named


def test_nothing_else_is_foreign():
    """Beside the vendored folder there are our three files only."""
    own = {entry.name for entry in FOLDER.iterdir() if entry.name != "vendor"}

    assert {"dashboard.css", "dashboard.js", "icon.svg"} == own


@pytest.mark.parametrize(("name", "most"), [("dashboard.js", 10_000), ("dashboard.css", 6_000)])
def test_our_own_files_stay_small(name, most):
    """Own script below 10 kB and own style below 6 kB, compressed."""
    assert len(assets()[name].packed) < most


@pytest.mark.parametrize("name", ["dashboard.css", "dashboard.js", "icon.svg", "uplot.js"])
def test_assets_are_kept_for_ever_under_a_hashed_name(name):
    """A file's name holds its hash, so a browser never has to ask again; no sign-in needed."""
    browser = Browser(watched(None, password="secret"))
    asset = assets()[name]

    plain = browser.get(asset.path)
    packed = browser.get(asset.path, accept_encoding="gzip")

    assert hashlib.sha256(plain.body).hexdigest()[:12] in asset.path
    assert "public, max-age=31536000, immutable" == header(plain, "cache-control")
    assert "nosniff" == header(plain, "x-content-type-options")
    assert "gzip" == header(packed, "content-encoding")
    assert plain.body == gzip.decompress(packed.body)


@pytest.mark.parametrize("offer", ["", "br", "gzip;q=0", "identity", "x-gzip2"])
def test_who_does_not_take_gzip_gets_it_plain(offer):
    """A client that cannot unpack is served all the same."""
    browser = Browser(watched(None))
    path = assets()["dashboard.css"].path

    assert "" == header(browser.get(path, accept_encoding=offer), "content-encoding")


def test_no_file_of_ours_speaks_to_anybody_else():
    """Our script and style name no other host."""
    for name in ("dashboard.js", "dashboard.css"):
        content = assets()[name].plain.decode()
        assert "http:" not in content
        assert "https:" not in content
        assert "//" not in content.replace("// ", "")
        assert "eval(" not in content
        assert "innerHTML" not in content
