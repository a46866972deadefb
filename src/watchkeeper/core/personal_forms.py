"""What tells of a person and is masked on demand: addresses, numbers, folders of users."""

import re
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from watchkeeper.core.card_numbers import is_luhn
from watchkeeper.core.form import MASK, Form, after_start, whole


def _ip(match: re.Match[str]) -> str:
    text = match.group()
    if ":" not in text:
        return MASK if all(int(part) < 256 for part in text.split(".")) else text
    try:
        IPv6Address(text)
    except AddressValueError:
        return text
    return MASK


def _imei(match: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", match.group())
    return MASK if is_luhn(digits) else match.group()


PERSONAL: Final[Mapping[str, Form]] = {
    "email": Form(
        hint=("@",),
        pattern=re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+"),
        replacement=whole,
    ),
    "ip": Form(
        hint=re.compile(r"\d\.\d|:"),
        pattern=re.compile(
            r"(?<![\w.:])(?:(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)|"
            r"(?=[\da-f]{0,4}:[\da-f]{0,4}:)[\da-f:]{2,39}+(?:\.\d{1,3}){0,3}(?![\w:]))",
            re.IGNORECASE | re.ASCII,
        ),
        replacement=_ip,
    ),
    "phone": Form(  # with a country's code, or as in North America
        hint=re.compile(r"\d[ ()./-]{0,3}\d\d"),
        pattern=re.compile(
            r"(?<![\w+])\+\d(?:[ ()./-]{0,2}\d){6,14}(?![\w])|"
            r"(?<![\w.-])(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])"
        ),
        replacement=whole,
    ),
    "mac": Form(
        hint=re.compile(r"[\da-f]{2}[:-][\da-f]{2}[:-]"),
        pattern=re.compile(
            r"(?<![\w:-])[\da-f]{2}([:-])(?:[\da-f]{2}\1){4}[\da-f]{2}(?![\w:-])",
            re.IGNORECASE | re.ASCII,
        ),
        replacement=whole,
    ),
    "user_folder": Form(
        hint=re.compile(r"/home/|/users/|\\users\\"),
        pattern=re.compile(
            r"(?P<start>(?:/home/|/Users/|[A-Za-z]:\\{1,2}Users\\{1,2}))[^\s/\\\"'<>:]++"
        ),
        replacement=after_start,
    ),
    "ssn": Form(  # social security number of the United States
        hint=re.compile(r"\d{3}-\d\d-\d{4}"),
        pattern=re.compile(
            r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])", re.ASCII
        ),
        replacement=whole,
    ),
    "imei": Form(
        hint=re.compile(r"\d\d[ -]?\d{6}[ -]?\d{6}[ -]?\d"),
        pattern=re.compile(r"(?<![\w-])\d\d([ -]?)\d{6}\1\d{6}\1\d(?![\w-])", re.ASCII),
        replacement=_imei,
    ),
}
"""By the names that the setting `scrub_values` knows."""
