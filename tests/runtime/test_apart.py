"""What occurrences are told apart by: exact counts per call path, routes and users, bounded."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.runtime.apart import MAX_ROUTES, MAX_USERS, Room
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.places import Places
from watchkeeper.runtime.record import Record, RequestContext, current

SHOP = """
def total(order):
    return order["total"]

def price(order):
    return total(order)

def cart(order):
    return price(order)

def invoice(order):
    return price(order)
"""


@pytest.fixture
def issues(tmp_path: Path) -> Issues:
    """An empty capture for a project in `tmp_path`."""
    scope = Scope(service="shop", environment="test", release="r7")
    return Issues(scope, places=Places(str(tmp_path)), clock=lambda: 1_000.0)


@pytest.fixture
def shop(tmp_path: Path) -> SimpleNamespace:
    """A module of the project with one bug, and two ways that lead to it."""
    path = tmp_path / "shop.py"
    path.write_text(SHOP, encoding="utf-8")
    names: dict[str, Any] = {"__name__": "shop"}
    exec(compile(SHOP, str(path), "exec"), names)  # noqa: S102  # the test's own
    return SimpleNamespace(**names)


def fail(issues: Issues, function: Any, *, method: str = "", route: str = "") -> None:
    """Let a function fail within a request."""
    request = RequestContext(method=method, route=route) if route else None
    try:
        function({})
    except KeyError as error:
        issues.capture(error, request=request)


def as_user(issues: Issues, function: Any, user: str) -> None:
    """Let a function fail for a user."""
    record = Record.beginning(0.0)
    record.opened().user = user
    token = current.set(record)
    try:
        fail(issues, function)
    finally:
        current.reset(token)


def test_one_issue_is_counted_by_call_path(issues: Issues, shop: SimpleNamespace):
    """The same bug by two ways is one fingerprint with two paths."""
    for function in (shop.cart, shop.cart, shop.invoice):
        fail(issues, function)

    counts, events = issues.take()

    assert 1 == len({one.fingerprint for one in counts})
    assert 2 == len({one.path for one in counts})
    assert all(re.fullmatch("[0-9a-f]{16}", one.path) for one in counts)
    assert [1, 2] == sorted(one.count for one in counts)
    assert {one.path for one in events} <= {one.path for one in counts}


def test_routes_and_users_are_kept(issues: Issues, shop: SimpleNamespace):
    """Routes with how often, users once; what is empty is left out."""
    fail(issues, shop.cart, method="GET", route="/cart/{id}")
    fail(issues, shop.cart, method="GET", route="/cart/{id}")
    fail(issues, shop.cart, method="POST", route="/cart")
    fail(issues, shop.cart, route="job:import")
    fail(issues, shop.cart)
    for user in ("bob", "ada", "bob"):
        as_user(issues, shop.cart, user)

    ((count,), _) = issues.take()

    assert 8 == count.count
    assert {"GET /cart/{id}": 2, "POST /cart": 1, "job:import": 1} == count.routes
    assert ("ada", "bob") == count.users


def test_they_are_bounded_and_counts_stay_exact(issues: Issues, shop: SimpleNamespace):
    """Beyond the caps routes and users are left out, and nothing of the count."""
    for number in range(MAX_ROUTES + 7):
        fail(issues, shop.cart, method="GET", route=f"/{number}")
    for number in range(MAX_USERS + 7):
        as_user(issues, shop.cart, f"user-{number}")

    ((count,), _) = issues.take()

    assert MAX_ROUTES + MAX_USERS + 14 == count.count
    assert (MAX_ROUTES, MAX_USERS) == (len(count.routes), len(count.users))


def test_all_groups_of_a_slot_share_one_room(issues: Issues, shop: SimpleNamespace):
    """Without room what is new counts to the first call path; the next slot has room again."""
    issues.groups._room = Room(1)  # for the route
    for function in (shop.cart, shop.invoice, shop.price):
        fail(issues, function, method="GET", route="/cart")
    as_user(issues, shop.cart, "ada")

    counts, _ = issues.take()

    assert [4, (), {"GET /cart": 3}] == [counts[0].count, counts[0].users, counts[0].routes]
    assert 1 == len(counts)
    as_user(issues, shop.cart, "ada")
    assert ("ada",) == issues.take()[0][0].users


def test_of_ignored_issues_no_samples_are_taken(issues: Issues, shop: SimpleNamespace):
    """They are counted, and none is called dropped."""
    fail(issues, shop.cart)
    ((count,), events) = issues.take()
    assert 1 == len(events)

    for name in (count.fingerprint, f"{count.fingerprint}/{count.path}"):
        issues.groups.ignored = {name: True}
        for _ in range(3):
            fail(issues, shop.cart)
        ((count,), events) = issues.take()
        assert (3, [], 0) == (count.count, events, issues.groups.dropped_samples)

    issues.groups.ignored = {"1:other": True}
    for _ in range(2):  # the 7th and the 8th since samples began anew
        fail(issues, shop.cart)
    assert 1 == len(issues.take()[1])


def test_a_path_that_was_split_off_decides_for_itself(issues: Issues, shop: SimpleNamespace):
    """What is left of the issue may be ignored while the part is not."""
    fail(issues, shop.cart)
    ((count,), _) = issues.take()

    part = f"{count.fingerprint}/{count.path}"
    issues.groups.ignored = {count.fingerprint: True, part: False}
    fail(issues, shop.cart)

    assert 1 == len(issues.take()[1])
