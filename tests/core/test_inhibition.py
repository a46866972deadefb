"""Inhibition: an alert that another one explains is not told, but never are all of them silent."""

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.inhibition import Firing, inhibited

DATABASE = Firing(rule="Database down", group="", severity="critical")
ERRORS = Firing(rule="Errors", group="", severity="critical")
SLOW = Firing(rule="Slow", group="", severity="warning")


def explained(*firing, together=(), **quiet_while):
    return inhibited(
        firing,
        quiet_while={name.replace("_", " "): causes for name, causes in quiet_while.items()},
        together=together,
    )


def test_a_rule_is_quiet_while_its_cause_fires():
    """`quiet_while` names the causes; the reason names the one that fires."""
    assert {("Errors", ""): "Database down"} == explained(
        ERRORS, DATABASE, Errors=("Other", "Database down")
    )
    assert {} == explained(ERRORS, Errors=("Database down",))
    assert {} == explained(ERRORS, DATABASE)


def test_a_cause_explains_only_what_agrees_with_its_labels():
    """Trouble of one host does not hide that of another."""

    def on(host, rule="Errors"):
        return Firing(rule=rule, group=host, severity="critical", labels={"host": host})

    assert {("Errors", "a"): "Host down"} == explained(
        on("a"), on("b"), on("a", "Host down"), Errors=("Host down",)
    )


def test_a_cause_without_those_labels_explains_all():
    """A database that is down explains the errors of every route."""
    route = Firing(rule="Errors", group="r", severity="critical", labels={"route": "/a"})

    assert {("Errors", "r"): "Database down"} == explained(
        route, DATABASE, Errors=("Database down",)
    )


def test_what_is_critical_hides_a_warning_on_the_same_labels():
    """Within the default pack, without a word of configuration."""
    pack = ("Errors", "Slow")
    other = Firing(rule="Slow", group="x", severity="warning", labels={"route": "x"})

    assert {("Slow", ""): "Errors"} == explained(ERRORS, SLOW, other, together=pack)
    assert {} == explained(ERRORS, SLOW, together=("Slow",))
    assert {} == explained(DATABASE, ERRORS, together=("Database down", "Errors"))


def test_of_two_that_explain_each_other_the_worse_one_is_told():
    """The first by name where they are equally bad."""
    both = {"Errors": ("Slow",), "Slow": ("Errors",)}

    assert {("Slow", ""): "Errors"} == explained(ERRORS, SLOW, **both)
    a, b = (Firing(rule=name, group="", severity="warning") for name in "ab")
    assert {("b", ""): "a"} == explained(b, a, a=("b",), b=("a",))


def test_a_rule_does_not_explain_itself():
    """Naming itself changes nothing."""
    assert {} == explained(ERRORS, Errors=("Errors",))


def test_what_is_hidden_itself_still_explains():
    """In a chain only the first is told."""
    assert {("Slow", ""): "Errors", ("Errors", ""): "Database down"} == explained(
        SLOW, ERRORS, DATABASE, Slow=("Errors",), Errors=("Database down",)
    )


NAMES = st.sampled_from("abcde")


@given(
    firing=st.lists(
        st.builds(
            Firing,
            rule=NAMES,
            group=st.just(""),
            severity=st.sampled_from(["info", "warning", "critical"]),
        ),
        min_size=1,
        unique_by=lambda one: one.rule,
    ),
    quiet_while=st.dictionaries(NAMES, st.lists(NAMES, max_size=4)),
    together=st.lists(NAMES, max_size=5),
)
def test_somebody_is_always_told(firing, quiet_while, together):
    """However the rules name each other, not all that fire are held back."""
    found = inhibited(firing, quiet_while=quiet_while, together=together)

    assert len(found) < len(firing)
    assert all(cause in {one.rule for one in firing} for cause in found.values())


def test_causes_that_name_each_other_in_a_ring_are_searched_once():
    """A ring of causes that does not lead back to the alert explains it."""
    found = explained(
        ERRORS,
        Firing(rule="a", group="", severity="info"),
        Errors=("a",),
        a=("b", "c"),
        b=("a",),
        c=("a",),
    )

    assert {("Errors", ""): "a"} == found
