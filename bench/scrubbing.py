"""What scrubbing costs: 64 kB of hostile text of each kind, and how the time grows with it."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from time import process_time
from typing import Any, Final

import goals
from watchkeeper.core.scrub import MAX_SCRUBBED_CHARS, scrub, scrub_source, scrub_text
from watchkeeper.runtime.scrubbing import MAX_LOG_CHARS

SIZE: Final = 64 * 1024
GOAL_MS: Final = 5.0
ROUNDS: Final = 7

EVERY_SIGN: Final = "every sign, then letters"
HOSTILE: Final = {
    EVERY_SIGN: EVERY_SIGN,
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
    "elements with attributes": '<token a="b">',
    "elements never closed": "<token a",
    "closed elements": '<token a="b">x</token>',
    "data in elements": '<token a="b"><![CDATA[</',
    "entries": '<a key="token">',
    "tuples": "token=('a', ",
    "tuples in names": "('token', ('a', ",
    "literals side by side": "token='a' 'b' ",
    "doubled quotes": "token='a''",
    "escaped tuples": 'token=(\\"a\\", ',
    "names of lists": "token[]=a&token[",
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
    "commands without users": "curl ",
    "commands in lists": "'curl', '-u', 'a:",
    "options of lists": "'mysql', '-p",
    "options of commands": "sshpass -v ",
    "other commands' options": "mysql mysql mysql mysql | -px ",
    "commands' passwords": "openssl -passin pass:a -k b -p c mysql -pd ",
    "annotations": "pw:[",
    "annotations with calls": "pw: A['a', f(1)] = 'b'\n",
    "annotations never closed": "pw:A[((((((((((((((((((((((((((((((((((((((((",
    "annotations never given": "pw: A[f('a')]\n",
    "names sought in lists": "pw in ('a', ",
    "names compared": "'a' == pw, ",
    "calls that take secrets": "set_password('a', ",
    "pairs": '("token",',
    "calls": "pw=f(",
    "targets": "pw, ",
    "numbers of cards": "4111111111111112 ",
    "cards": "4111111111111111,",
    "dates": "2026-01-01 ",
    "refused values": "pin\n x [input_value='a']\n",
    "refused values without names": "input_value=",
    "refused values of some length": "input_value='x', ",
    "refused values that were cut": "input_value=a...",
    "refused fields": "{'loc': ('pin',), 'input': 'a'}",
    "values of rows": "INSERT INTO a VALUES ('",
    "passwords in statements": "IDENTIFIED BY 'a' ",
    "keys of rows": "Key (a(b(",
    "hashes": "$argon2id$v=19$m=1$",
    "f-strings": "f'{a}token={a}' ",
    "short lines": "token = 'a'\n",
    "other scripts": "ａ=",
    "distinct names": "#=1&",
    "distinct sensitive names": "pw#=1&",
    "distinct words": "pass #: 1 ",
    "all at once": 'token=://a:b@ Bearer eyJ sk-a DE89 4111 -----BEGIN PRIVATE KEY Digest a="',
}


def hostile(piece: str, size: int = SIZE) -> str:
    """Return a text of `size` characters that consists of a piece, "#" a number in letters."""
    if piece == EVERY_SIGN:
        return "".join(map(chr, range(32, 127))) + "a" * (size - 95)
    if "#" in piece:
        return "".join(piece.replace("#", _letters(number)) for number in range(size // 3))[:size]
    return (piece * (size // len(piece) + 1))[:size]


def _letters(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one kind of text takes, in ms of CPU, by where it comes in."""

    name: str
    text: float
    value: float
    source: float
    growth: float  # of a text twice as long

    @property
    def worst(self) -> float:
        """The dearest of the three."""
        return max(self.text, self.value, self.source)


def rows(size: int, rounds: int) -> Iterator[Row]:
    """Time each hostile text as a text of our log, the longest that is kept, value and source."""
    for name, piece in HOSTILE.items():
        whole = hostile(piece, size)
        full, half = whole[:MAX_SCRUBBED_CHARS], whole[: MAX_SCRUBBED_CHARS // 2]
        lines = [whole[at : at + 1_300] for at in range(0, len(whole), 1_300)]
        code = "\n".join(whole[at : at + 90] for at in range(0, len(whole), 90))
        works = (
            partial(scrub_text, whole, limit=MAX_LOG_CHARS),
            partial(scrub, lines),
            partial(scrub_source, code),
            partial(scrub_text, full, limit=MAX_SCRUBBED_CHARS),
            partial(scrub_text, half, limit=MAX_SCRUBBED_CHARS),
        )
        text, value, source, long, short = (_best_ms(work, rounds) for work in works)
        yield Row(name=name, text=text, value=value, source=source, growth=long / short)


def measure(size: int, rounds: int) -> dict[str, Any]:
    """Return the worst of all kinds, with its goal."""
    worst = max(rows(size, rounds), key=lambda row: row.worst)
    return {
        "kinds": len(HOSTILE),
        "bytes": size,
        "worst": worst.name,
        "worst_ms": goals.at_most(GOAL_MS, worst.worst, "ms"),
    }


def main(size: int, rounds: int) -> None:
    """Print the table, the dearest last."""
    print(f"64 kB, CPU time, best of {rounds}; goal {GOAL_MS:.0f} ms")
    print(f"{'text of':28}{'text ms':>9}{'value ms':>10}{'source ms':>11}{'32/16':>7}")
    for row in sorted(rows(size, rounds), key=lambda row: row.worst):
        missed = "  above the goal" if row.worst > GOAL_MS else ""
        figures = f"{row.text:9.2f}{row.value:10.2f}{row.source:11.2f}{row.growth:7.2f}"
        print(f"{row.name:28}{figures}{missed}")


def _best_ms(work: Callable[[], object], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        started = process_time()
        work()
        best = min(best, process_time() - started)
    return best * 1_000


if __name__ == "__main__":
    if len(sys.argv) == 3:  # for bench/errors.py: how much, how often
        print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
    else:
        main(2_048 if "--tiny" in sys.argv else SIZE, ROUNDS)
