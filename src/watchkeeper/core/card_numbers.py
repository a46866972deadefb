"""Numbers of payment cards, told by the ranges of their issuers and their check digit."""

import re
from typing import Final

from watchkeeper.core.form import MASK, Form

_DOUBLED: Final = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_PLAIN: Final = bytes.maketrans(b"0123456789", bytes(range(10)))
_NO_DIGITS: Final = str.maketrans("", "", " .-")

# As they are printed and written: whole, or in groups with the same sign between them; a group
# of three may be the code behind the card. What stands beside the number is no part of it.
_WRITTEN: Final = re.compile(
    r"(?<!\w)(?<!\d\.)(?:(?P<whole>\d{13,19})|"
    r"\d{4}(?P<between>[ .-])(?:\d{4}(?P=between)\d{4}(?P=between)\d{4}"
    r"(?P<more>(?P=between)\d{3})?|\d{6}(?P=between)\d{4,5}|\d{4}(?P=between)\d{5}))"
    r"(?!\w)(?!\.\d)",
    re.ASCII,
)
_ISSUED: Final = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|"
    r"3[47]\d{13}|3(?:0[0-59]|[689]\d)\d{11,16}|35\d{14,17}|5[06-9]\d{11,17}|6\d{12,18}",
    re.ASCII,
)
# More groups of four in a row are a list of numbers: every tenth window would pass the check.
_LIST: Final = re.compile(r"\d{4}(?P<between>[ .-])(?:\d{4}(?P=between)){8,}+", re.ASCII)


def is_luhn(digits: str) -> bool:
    """Tell whether the last digit is the check digit of the others, as on cards and phones."""
    coded = digits.encode("ascii")
    return (sum(coded[::-2].translate(_PLAIN)) + sum(coded[-2::-2].translate(_DOUBLED))) % 10 == 0


def _run(match: re.Match[str]) -> str:
    """Mask the cards among numbers that stand beside each other."""
    text, at, end = match.string, match.start(), match.end()
    seen = end + 2  # what follows the run tells whether its last number ends there
    kept: list[str] = []
    done = at
    while found := _WRITTEN.search(text, at, seen):
        at = found.start()
        listed = None if found["whole"] else _LIST.match(text, at)
        if listed is not None:
            at = listed.end()
        elif (until := _card_end(found)) > at:
            kept += (text[done:at], MASK)
            done = at = until
        else:
            at += 4  # the next group may begin a card
    kept.append(text[done:end])
    return "".join(kept)


def _card_end(found: re.Match[str]) -> int:
    """Return where the card ends that was found: at its start if it is none."""
    if _is_card(found.group()):
        return found.end()
    more = found["more"]
    if more and _is_card(found.group()[: -len(more)]):
        return found.end() - len(more)
    return found.start()


def _is_card(written: str) -> bool:
    digits = written.translate(_NO_DIGITS)
    return _ISSUED.fullmatch(digits) is not None and is_luhn(digits)


CARD: Final = Form(
    hint=re.compile(r"\d\d{3}[ .-]?\d{4}", re.ASCII),  # a pattern that begins with one is fast
    pattern=re.compile(r"(?<!\w)\d(?=[\d .-]{12})[\d .-]++", re.ASCII),
    replacement=_run,
)
