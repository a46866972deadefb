"""The table of figures in docs/what-it-costs.md."""

from pathlib import Path
from typing import Any, Final

PAGE: Final = Path(__file__).parents[1] / "docs" / "what-it-costs.md"
BEGIN: Final = "<!-- figures: written by `make bench ARGS=--markdown` -->\n"
END: Final = "<!-- end of figures -->\n"


def write(found: dict[str, Any]) -> None:
    """Put the figures into the page, in the place of those before."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + table(found) + END + after, "utf-8")


def table(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    fastapi, flask = found["cpu"]["fastapi"], found["cpu"]["flask"]
    memory, stall = found["memory"], found["stall"]
    return f"""
{_measured(found)}

| CPU per request, in µs | FastAPI | Flask |
|---|--:|--:|
| the application alone | {fastapi["bare_us"]} | {flask["bare_us"]} |
| **added by Watchkeeper** | **{fastapi["added_us"]}** | **{flask["added_us"]}** |
| of it in the request | {fastapi["added_in_request_us"]} | {flask["added_in_request_us"]} |
| of it in the background | {_both("added_in_background_us", fastapi, flask)} |
| added by the Prometheus client for that framework | {_both("peer_added_us", fastapi, flask)} |
| ratio to the application | {_both("ratio_to_bare", fastapi, flask)} |
| **ratio to the Prometheus client** | {_both("ratio_to_peer", fastapi, flask)} |

| Memory after {memory["requests"]:,} requests | MB |
|---|--:|
| **added by recording** | **{memory["added_by_recording_mb"]}** |
| added in all, with the database's packages | {memory["added_with_libraries_mb"]} |

| Pauses at {stall["requests_per_s"]:,} requests/s, in ms | bare | watched |
|---|--:|--:|
| longest in {stall["seconds"]:.0f} s | {stall["bare_max_ms"]} | {stall["watched_max_ms"]} |
| 99.99 % are shorter than | {stall["bare_p9999_ms"]} | {stall["watched_p9999_ms"]} |
| **the most that Watchkeeper's thread took of one** | – | **{stall["own_thread_max_ms"]}** |

"""


def _both(key: str, fastapi: dict[str, Any], flask: dict[str, Any]) -> str:
    return " | ".join("–" if each[key] is None else str(each[key]) for each in (fastapi, flask))


def _measured(found: dict[str, Any]) -> str:
    where = f"with Python {found['python']} on {found['machine']}"
    return f"Measured on {found['date']} {where}; slots of {found['slot']}."
