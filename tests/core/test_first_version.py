"""The first version's fingerprints, frozen: what was stored under them must be found for ever."""

import pytest

from watchkeeper.core.fingerprint import fingerprint
from watchkeeper.core.raised import Raised, TraceFrame

SHOW = TraceFrame(module="shop.views", function="show")
CHECKOUT = TraceFrame(module="shop.cart", function="checkout")
TOTAL = TraceFrame(module="shop.cart", function="total", qualname="Cart.total")
LISTING = TraceFrame(module="shop.cart", function="<listcomp>")
ROUTING = TraceFrame(module="framework.routing", function="dispatch", application=False)
PARSING = TraceFrame(module="framework.json", function="parse", application=False)
RULE = TraceFrame(module="", function="rule_17", file="<rule_17>")
TEMPLATE = TraceFrame(module="", function="<module>", file="templates/order_2024.html")
MISSING = Raised(type="KeyError", frames=[CHECKOUT, TOTAL])
WRONG = Raised(type="ValueError", frames=[SHOW, CHECKOUT])
NEVER = Raised(type="OSError", detail="ENOSPC", message="disk 7 full")

CASES = {
    "two frames": MISSING,
    "endpoint": Raised(type="KeyError", frames=[ROUTING, SHOW, CHECKOUT, TOTAL], endpoint=SHOW),
    "endpoint only": Raised(type="KeyError", frames=[SHOW], endpoint=SHOW),
    "endpoint elsewhere": Raised(type="KeyError", frames=[CHECKOUT, TOTAL], endpoint=SHOW),
    "outermost module": Raised(type="KeyError", frames=[SHOW, SHOW, CHECKOUT, ROUTING]),
    "comprehension": Raised(type="KeyError", frames=[SHOW, TOTAL, LISTING]),
    "recursion": Raised(type="RecursionError", frames=[SHOW, *[CHECKOUT, TOTAL] * 50, CHECKOUT]),
    "library only": Raised(type="TypeError", frames=[ROUTING, PARSING], endpoint=SHOW),
    "library alone": Raised(type="TypeError", frames=[ROUTING, PARSING]),
    "made at run time": Raised(type="shop.Rejected_#", frames=[CHECKOUT, RULE]),
    "template": Raised(type="ZeroDivisionError", frames=[TEMPLATE]),
    "errno": Raised(type="OSError", frames=[TOTAL], detail="ENOSPC", message="not looked at"),
    "message": Raised(type="ValueError", message="payment 17 of 'Ann' failed\nsecond line"),
    "cause": Raised(type="shop.OrderError", frames=[TOTAL], cause=MISSING),
    "library cause": Raised(
        type="shop.OrderError", frames=[TOTAL], cause=Raised(type="OSError", frames=[PARSING])
    ),
    "causes": Raised(
        type="shop.OrderError",
        frames=[TOTAL],
        cause=Raised(type="OSError", frames=[PARSING], cause=WRONG),
    ),
    "group": Raised(type="ExceptionGroup", frames=[SHOW], leaves=[WRONG, MISSING, MISSING]),
    "group of one": Raised(type="ExceptionGroup", frames=[SHOW], leaves=[MISSING]),
    "never raised": Raised(type="ExceptionGroup", frames=[SHOW], leaves=[NEVER, MISSING]),
    "caused by a group": Raised(
        type="shop.OrderError",
        frames=[TOTAL],
        cause=Raised(type="ExceptionGroup", frames=[SHOW], leaves=[WRONG, MISSING]),
    ),
    "surrogate": Raised(type="ValueError", message="bad \ud800 text"),
}

FROZEN = {
    "two frames": "1:2732abf5687858d4",
    "endpoint": "1:2732abf5687858d4",
    "endpoint only": "1:3cd84194aa16a920",
    "endpoint elsewhere": "1:2732abf5687858d4",
    "outermost module": "1:a0616da9c466fce9",
    "comprehension": "1:f5738fe3b781cd63",
    "recursion": "1:6097c099e5dc9ff8",
    "library only": "1:17496670355ebc1b",
    "library alone": "1:a84993697a936abf",
    "made at run time": "1:125a80a71254658e",
    "template": "1:65315760d4893b5c",
    "errno": "1:7a57df3c226eeb1a",
    "message": "1:a02a5122d0568cad",
    "cause": "1:1692f2fe51a2fc98",
    "library cause": "1:0165e45d485b99cf",
    "causes": "1:4bd9a7705c864cea",
    "group": "1:118aa5b53ca946f2",
    "group of one": "1:2732abf5687858d4",
    "never raised": "1:bf3e10e1cfefbdb6",
    "caused by a group": "1:6bd82f25178d40ea",
    "surrogate": "1:0ceb82c4353c1430",
}


@pytest.mark.parametrize("name", CASES)
def test_the_first_versions_fingerprint_is_an_alias(name: str):
    """An issue of the first version is found by the value that it was stored under."""
    assert FROZEN[name] in fingerprint(CASES[name]).aliases
