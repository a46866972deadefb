"""What scrubbing costs: 64 kB of hostile text of each kind, and how the time grows with it."""

import sys
from collections.abc import Callable, Iterator
from time import process_time
from typing import Final

from watchkeeper.core.scrub import MAX_SCRUBBED_CHARS, scrub, scrub_source, scrub_text

GOAL_MS: Final = 5.0
ROUNDS: Final = 7

HOSTILE: Final = {
    "letters": "a",
    "digits": "4",
    "digits and spaces": "4 ",
    "digits in groups": "4111 ",
    "card numbers": "4111 1111 1111 1111, ",
    "dashes": "-",
    "dashed letters": "a-",
    "dots": "a.",
    "double quotes": '"',
    "single quotes": "'",
    "backslashes": "\\",
    "escaped quotes": '\\"',
    "braces": "{",
    "brackets after a name": "token=(",
    "nested braces": "token={'a':",
    "pairs of brackets": "token=()()",
    "assignments": "a=",
    "names and colons": "token:",
    "sensitive names": "token=a ",
    "quoted names": '"token":"a",',
    "unclosed quotes": 'token="',
    "options": "--token ",
    "labels": 'name="token" ',
    "labelled values": 'name="token" value="',
    "parts of forms": 'name="token"\n\n',
    "elements": "<token>",
    "JWT": "eyJ",
    "JWT with dots": "eyJaaaaaa.",
    "PEM": "-----BEGIN ",
    "PEM of keys": "-----BEGIN PRIVATE KEY-----",
    "schemes": "Bearer ",
    "schemes and values": "Basic aaaa1111 ",
    "digest": "Digest a=",
    "addresses": "://",
    "addresses with users": "://a:",
    "addresses with passwords": "://a:b@",
    "webhooks": "//hooks.a",
    "encoded addresses": "%3A%2F%2Fa%3A",
    "percent signs": "%3D",
    "encoded names": "%26token%3D",
    "prefixes": "sk-",
    "long keys": "sk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ",
    "IBAN": "DE89 3704 ",
    "headers": "Cookie: ",
    "entities": "token=&quot;",
    "statements": "INSERT INTO a(",
    "failed statements": "[SQL: '",
    "parameters": "[parameters: ",
    "rows": "Key (a)=(",
    "commands": "curl -u a:",
    "other scripts": "ａ=",
    "all at once": 'token=://a:b@ Bearer eyJ sk-a DE89 4111 -----BEGIN PRIVATE KEY Digest a="',
}


def hostile(piece: str, size: int = MAX_SCRUBBED_CHARS) -> str:
    """Return a text of `size` characters that consists of a piece."""
    return (piece * (size // len(piece) + 1))[:size]


def rows(size: int = MAX_SCRUBBED_CHARS) -> Iterator[tuple[str, float, float, float, float]]:
    """Yield for each hostile text: its name, ms as text, value and source; growth by doubling."""
    for name, piece in HOSTILE.items():
        whole, half = hostile(piece, size), hostile(piece, size // 2)
        text = _best_ms(lambda whole=whole: scrub_text(whole))
        long = _best_ms(lambda whole=whole: scrub_text(whole, limit=MAX_SCRUBBED_CHARS))
        short = _best_ms(lambda half=half: scrub_text(half, limit=MAX_SCRUBBED_CHARS))
        lines = [whole[at : at + 1_300] for at in range(0, len(whole), 1_300)]
        value = _best_ms(lambda lines=lines: scrub(lines))
        source = _best_ms(lambda lines=lines: scrub_source("\n".join(lines[:11])))
        yield name, text, value, source, long / short


def main(size: int) -> None:
    """Print the table, the dearest last."""
    print(f"64 kB, CPU time, best of {ROUNDS}; goal {GOAL_MS:.0f} ms for a text")
    print(f"{'text of':28}{'text ms':>9}{'value ms':>10}{'source ms':>11}{'64/32':>7}")
    for name, text, value, source, ratio in sorted(rows(size), key=lambda row: row[1]):
        missed = "  above the goal" if text > GOAL_MS else ""
        print(f"{name:28}{text:9.2f}{value:10.2f}{source:11.2f}{ratio:7.2f}{missed}")


def _best_ms(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        started = process_time()
        work()
        best = min(best, process_time() - started)
    return best * 1_000


if __name__ == "__main__":
    main(2_048 if "--tiny" in sys.argv else MAX_SCRUBBED_CHARS)
