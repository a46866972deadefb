"""The line that each key of a TOML file stands in, for messages: the parser does not tell."""

import re
from collections.abc import Iterator
from typing import Final

Path = tuple[str | int, ...]
"""Keys, and numbers within arrays: ("alert", 2, "when")."""

_TOKEN: Final = re.compile(
    r"(?P<space>[ \t\r]+|\#[^\n]*)"
    r'|(?P<text>"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\')'
    r"|(?P<mark>[\[\]{}=,\n])"
    r"|(?P<bare>[^\s\[\]{}=,#\"']+)",
    re.DOTALL,
)
_END: Final = ""


class TomlLines:
    """Where each table and key of a text stands; nothing is said of a text that is not understood.

    The text is one that the parser has read: it is not checked again.
    """

    def __init__(self, name: str, text: str, *, root: tuple[str, ...] = ()) -> None:
        """Take the file's name and text; `root` is the table that all paths start in."""
        self._name = name
        self._root = root
        self._tokens = _tokens(text)
        self._counts: dict[Path, int] = {}
        self._lines: dict[Path, int] = {}
        self._within: dict[Path, int] = {}  # the first table of a path that has no line itself
        self._part, self._line = _END, 0
        try:
            self._advance()
            self._document()
        except (StopIteration, RecursionError):
            self._lines, self._within = {}, {}

    def of(self, *path: str | int) -> str:
        """Name the file, and the line of the path, or of the nearest one around it."""
        for length in range(len(path), 0, -1):
            known = (*self._root, *path[:length])
            line = self._lines.get(known, self._within.get(known))
            if line is not None:
                return f"{self._name}:{line}"
        return self._name

    def _advance(self) -> str:
        """Take the current token; the last one is followed by the end."""
        taken = self._part
        self._part, self._line = next(self._tokens)
        return taken

    def _document(self) -> None:
        table: Path = ()
        while self._part != _END:
            if self._part == "\n":
                self._advance()
            elif self._part == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        line = self._line
        self._advance()
        is_array = self._part == "["
        if is_array:
            self._advance()
        path: Path = ()
        parts = self._key()
        for at, part in enumerate(parts):
            path = (*path, part)
            if path in self._counts and not (is_array and at == len(parts) - 1):
                path = (*path, self._counts[path] - 1)
            self._within.setdefault(path, line)
        if is_array:
            self._counts[path] = self._counts.get(path, 0) + 1
            self._note(path, line)
            path = (*path, self._counts[path] - 1)
            self._advance()
        self._advance()
        self._note(path, line)
        return path

    def _pair(self, table: Path) -> None:
        line = self._line
        parts = self._key()
        for length in range(1, len(parts) + 1):
            self._note((*table, *parts[:length]), line)
        if self._advance() != "=":
            raise StopIteration
        self._value((*table, *parts))

    def _value(self, path: Path) -> None:
        opening = self._advance()
        if opening not in ("[", "{"):
            while self._part not in ("\n", ",", "]", "}", _END):
                self._advance()  # a date and its time
            return
        closing = "]" if opening == "[" else "}"
        number = 0
        while self._part != closing:
            if self._part in ("\n", ","):
                self._advance()
            elif opening == "[":
                self._note((*path, number), self._line)
                self._value((*path, number))
                number += 1
            else:
                self._pair(path)
        self._advance()

    def _key(self) -> list[str]:
        """Read "a", "a.b" or "a . 'b c'"."""
        written = ""
        while self._part not in ("=", "]", "\n", _END):
            written += self._advance()
        return [
            part[1:-1] if part[0] in "\"'" else part
            for part in re.findall(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^.\"']+", written)
        ]

    def _note(self, path: Path, line: int) -> None:
        self._lines.setdefault(path, line)


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Yield each token with its line, then the end twice."""
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return  # not understood: whoever asks for more stops
        at = match.end()
        if match.lastgroup != "space":
            yield match[0], line
        line += match[0].count("\n")
    yield _END, line
    yield _END, line
