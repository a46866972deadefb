"""What counts as a bad request."""

import pytest

from watchkeeper.core.badness import Badness, BadnessRules, badness_rules
from watchkeeper.exceptions import ConfigurationError


class SoldOutError(Exception):
    """Something that the shop expects."""


class AllSoldOutError(SoldOutError):
    """One kind of it."""


def rules(**given):
    """Read settings, the rest of them at their defaults."""
    defaults = {"statuses": ("5xx",), "expected": (), "above": "", "routes": {}}
    return badness_rules(**{**defaults, **given})


@pytest.mark.parametrize(
    ("expected", "status"), [(True, 500), (True, 599), (False, 499), (False, 200), (False, 429)]
)
def test_server_errors_are_bad_unless_something_else_is_said(expected, status):
    """Without settings, 5xx are bad and nothing else is."""
    assert expected is rules().of("/").is_bad(status, 60.0)


def test_single_statuses_and_classes_can_be_named():
    """A number stands for itself, "4xx" for all hundred."""
    one = rules(statuses=["4xx", 503, "302"]).of("/")

    assert [True, True, True, False] == [one.is_bad(s, 0.1) for s in (418, 503, 302, 500)]


def test_a_slow_answer_can_be_bad():
    """Above the duration, not at it."""
    one = rules(above="2s").of("/")

    assert [False, True] == [one.is_bad(200, seconds) for seconds in (2.0, 2.1)]


def test_a_route_overrides_what_it_names_and_inherits_the_rest():
    """What a route does not say is as everywhere."""
    both = rules(
        above="2s", routes={"/export": {"bad_above": "60s"}, "/ping": {"bad_statuses": []}}
    )

    assert Badness(above_s=60.0) == both.of("/export")
    assert Badness(statuses=frozenset(), above_s=2.0) == both.of("/ping")
    assert Badness(above_s=2.0) == both.of("/other")


@pytest.mark.parametrize("named", [SoldOutError, f"{__name__}.SoldOutError"])
def test_an_exception_is_expected_with_its_subclasses(named):
    """By class or by full name, of the exception or of a class that it derives from."""
    one = rules(expected=[named]).of("/")

    assert [True, True, False] == [
        one.expects(exc) for exc in (SoldOutError(), AllSoldOutError(), ValueError())
    ]


def test_a_builtin_exception_is_named_without_its_module():
    """ "TimeoutError" is builtins.TimeoutError."""
    assert rules(expected=["TimeoutError"]).of("/").expects(TimeoutError())


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"statuses": "5xx"}, 'bad_statuses: write a list: ["5xx", 429]'),
        ({"statuses": ["6xx"]}, 'bad_statuses: 6xx is no status; write "5xx" or 429'),
        ({"statuses": [99]}, 'bad_statuses: 99 is no status; write "5xx" or 429'),
        ({"expected": ["no name"]}, "expected_exceptions: 'no name' is no exception"),
        ({"expected": [int]}, "expected_exceptions: <class 'int'> is no exception"),
        ({"above": 2}, "bad_above: 2 needs a unit: '2s'"),
        ({"above": "2 sec"}, "bad_above: '2 sec' is not a duration; write '2s'"),
        ({"routes": {"/a": 5}}, "routes./a: write a table"),
        ({"routes": {"/a": {"slow": "2s"}}}, "routes./a.slow: unknown; known: bad_statuses"),
        ({"routes": {"/a": {"bad_above": 2}}}, "routes./a.bad_above: 2 needs a unit"),
    ],
)
def test_a_wrong_setting_is_named_with_its_cure(given, complaint):
    """The error says where and what to write."""
    with pytest.raises(ConfigurationError) as error:
        rules(**given)

    assert str(error.value).startswith(complaint)


def test_a_function_may_judge_what_is_expected():
    """It is given the exception; beside it names hold as before; a route may have its own."""
    rules = badness_rules(
        statuses=["5xx"],
        expected=["KeyError", lambda exc: "sold out" in str(exc)],
        above="",
        routes={"/pay": {"expected_exceptions": []}},
    )

    here = rules.of("/orders")
    assert [True, True, False] == [
        here.expects(exc)
        for exc in (KeyError("a"), ValueError("sold out"), ValueError("no paper"))
    ]
    assert not rules.of("/pay").expects(ValueError("sold out"))
    assert rules.expect_any
    assert not BadnessRules().expect_any
