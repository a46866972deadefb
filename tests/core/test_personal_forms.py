"""What is masked on demand only, and what looks like it."""

import pytest

from watchkeeper.core.scrub import DEFAULT_RULES, MASK, Rules, scrub, scrub_text
from watchkeeper.exceptions import ConfigurationError

M = MASK
MASKED = [
    ("email", f"to {M}, now", "to ann.o'neil+x@mail.shop.example, now".replace("o'neil", "oneil")),
    ("ip", f"from {M}:443", "from 192.0.2.17:443"),
    ("ip", f"from [{M}]:443", "from [2001:db8::17]:443"),
    ("ip", f"from {M} to", "from ::ffff:192.0.2.1 to"),
    ("phone", f"call {M}.", "call +49 (30) 901-820."),
    ("phone", f"call {M} or {M}", "call (555) 123-4567 or 555-123-4567"),
    ("mac", f"on {M} up", "on 00:1A:2b:3c:4d:5e up"),
    ("mac", f"on {M} up", "on 00-1a-2b-3c-4d-5e up"),
    ("user_folder", f"/home/{M}/shop/a.py", "/home/ann/shop/a.py"),
    ("user_folder", f"C:\\Users\\{M}\\a.py", "C:\\Users\\ann\\a.py"),
    ("ssn", f"of {M}", "of 123-45-6789"),
    ("imei", f"of {M}", "of 49-015420-323751-8"),
    ("imei", f"of {M}", "of 490154203237518"),
]
UNTOUCHED = [
    ("email", "user@localhost @ann a@"),
    ("ip", "version 1.2.3.4.5 at 12:30:45, 999.1.1.1, a::b::c, std::vector"),
    ("phone", "order 1234567 of 2026-11-28, 1.2.3"),
    ("mac", "12:30:45 00:1a:2b:3c:4d:5e:6f"),
    ("user_folder", "/srv/shop/home /homes/x"),
    ("ssn", "000-12-3456 123-00-4567 900-12-3456 1123-45-6789"),
    ("imei", "490154203237517"),
]


@pytest.mark.parametrize(("kind", "expected", "text"), MASKED)
def test_what_tells_of_a_person_is_masked_on_demand(kind: str, expected: str, text: str):
    """Each kind can be switched on; without that it stays."""
    assert expected == scrub_text(text, rules=Rules.made_of(values=[kind]))
    assert text == scrub_text(text) or kind == "imei"  # which may be a card's number too


@pytest.mark.parametrize(("kind", "text"), UNTOUCHED)
def test_what_only_looks_like_it_stays(kind: str, text: str):
    """Versions, times, names in code, numbers that fail their check."""
    assert text == scrub_text(text, rules=Rules.made_of(values=[kind]))


def test_rules_are_made_of_what_the_user_names():
    """Further keys, exempt ones and kinds of values; with none of them the usual rules."""
    rules = Rules.made_of(keys=["plate"], exempt=["session"], values=["email"])

    assert {"plate": M, "session": "a", "to": M} == scrub(
        {"plate": "X 1", "session": "a", "to": "ann@shop.example"}, rules=rules
    )
    assert DEFAULT_RULES is Rules.made_of()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"keys": "plate"}, r'scrub_keys: write a list: \["plate"\]'),
        ({"keys": ["12"]}, "scrub_keys: '12' holds no word; write a key"),
        ({"exempt": [7]}, "scrub_exempt: 7 is not a text"),
        ({"values": ["mail"]}, "scrub_values: 'mail' is not known; write some of email, ip, "),
    ],
)
def test_wrong_names_are_told(given: dict, said: str):
    """The message names the setting and the cure."""
    with pytest.raises(ConfigurationError, match=said):
        Rules.made_of(**given)
