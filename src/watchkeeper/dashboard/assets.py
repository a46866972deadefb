"""The static files: served under names that hold their hash, compressed once."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from watchkeeper.dashboard.http import Request, Response

_SOURCES: Final = MappingProxyType(
    {
        "dashboard.css": "dashboard.css",
        "dashboard.js": "dashboard.js",
        "icon.svg": "icon.svg",
        "uplot.css": "vendor/uPlot.min.css",
        "uplot.js": "vendor/uPlot.iife.min.js",
    }
)
_TYPES: Final = MappingProxyType(
    {
        "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
    }
)
_HASH_DIGITS: Final = 12
_FOREVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One static file, plain and compressed."""

    path: str  # below the dashboard's root, with the hash in it
    media_type: str
    plain: bytes
    packed: bytes


@cache
def assets() -> MappingProxyType[str, Asset]:
    """Read and compress every static file, once per process; by its plain name."""
    folder = files("watchkeeper.dashboard") / "static"
    found = {}
    for name, source in _SOURCES.items():
        content = folder.joinpath(source).read_bytes()
        stem, _, ending = name.rpartition(".")
        digest = hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]
        found[name] = Asset(
            path=f"/static/{stem}.{digest}.{ending}",
            media_type=_TYPES[ending],
            plain=content,
            packed=gzip.compress(content, 9, mtime=0),
        )
    return MappingProxyType(found)


def asset_response(request: Request) -> Response | None:
    """Answer with a static file that browsers keep for ever; None if there is none so named."""
    asset = _by_path().get(request.path)
    if asset is None:
        return None
    packed = accepts_gzip(request)
    headers = [
        ("content-type", asset.media_type),
        ("cache-control", _FOREVER),
        ("vary", "accept-encoding"),
    ]
    if packed:
        headers.append(("content-encoding", "gzip"))
    return Response(headers=tuple(headers), body=asset.packed if packed else asset.plain)


def accepts_gzip(request: Request) -> bool:
    """Tell whether the browser takes gzip."""
    for offer in request.headers.get("accept-encoding", "").split(","):
        coding, _, weight = offer.strip().partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


@cache
def _by_path() -> dict[str, Asset]:
    return {asset.path: asset for asset in assets().values()}
