"""A release beside the one before it and last week, read from stored frames."""

from dataclasses import replace

import pytest
from dashboards import NOW, SCOPE, minute, series

from watchkeeper.core import catalogue
from watchkeeper.core.histogram import Histogram
from watchkeeper.core.metrics import UNMATCHED
from watchkeeper.core.release_verdict import Against, Outcome
from watchkeeper.core.route_minutes import Measure
from watchkeeper.dashboard.verdict import WEEK_S, Asked, Basis, Missing, marks_of, reach, read
from watchkeeper.storage.memory import MemoryStore
from watchkeeper.storage.store import Release

DEPLOYED = NOW - 1_200.0


def mark(store, release, at, *, by=""):
    """Mark a release."""
    store.mark_release(Release(scope=replace(SCOPE, release=release), at=at, by=by))


def asked(store, release="v2", **more):
    """Ask about a release."""
    place = {"service": SCOPE.service, "environment": SCOPE.environment}
    return Asked(**{"store": store, "slot_s": 10, "release": release} | place | more)


def serve(store, release, since, until, *, errors=1, route="/pay", requests=100):
    """Store minutes of one route that a release answered, a few of them failing."""
    scope = replace(SCOPE, release=release)
    labels = {"method": "GET", "route": route}
    store.add_frames(
        [
            minute(
                at,
                {
                    series(catalogue.HTTP_DURATION, scope, status="200", **labels): Histogram(
                        [0.05] * (requests - errors)
                    ),
                    series(catalogue.HTTP_DURATION, scope, status="500", **labels): Histogram(
                        [0.05] * errors
                    ),
                },
                sequence=int(release[1:] or 0) + len(route),
            )
            for at in range(int(since), int(until), 60)
        ]
    )


@pytest.fixture
def store():
    """A shop whose second release fails more often, while old workers go on for a while."""
    made = MemoryStore()
    mark(made, "v1", NOW - 9_000)
    mark(made, "v2", DEPLOYED)
    serve(made, "v1", NOW - 7_200, DEPLOYED + 300)
    serve(made, "v2", DEPLOYED, NOW, errors=8)
    return made


def comparison(found, against, measure=Measure.ERRORS):
    """Find one comparison of the only route."""
    (route,) = found.verdict.routes
    return next(
        one for one in route.comparisons if (one.against, one.measure) == (against, measure)
    )


def test_requests_belong_to_the_release_of_their_worker(store):
    """What old workers answered after the deploy is the old release's."""
    found = reach(asked(store), now=NOW)

    errors = comparison(found, Against.PREVIOUS)
    assert (Outcome.WORSE, 0.08, 0.01) == (errors.outcome, errors.value, errors.before)
    assert (2_000, 6_500) == (errors.requests, errors.requests_before)
    assert ("v1", Basis.WORKERS) == (found.compared.previous, found.compared.basis)
    assert Outcome.WORSE is found.verdict.outcome


def test_last_week_has_a_say(store):
    """As bad as at the same time last week: doubtful."""
    serve(store, "v0", DEPLOYED - WEEK_S, NOW - WEEK_S, errors=8)

    found = reach(asked(store), now=NOW)

    assert Outcome.SAME is comparison(found, Against.LAST_WEEK).outcome
    assert Outcome.DOUBTFUL is found.verdict.outcome


def test_the_time_of_warming_up_is_left_out(store):
    """Ten minutes of twenty count."""
    found = reach(asked(store, warm_up_s=600.0), now=NOW)

    assert 1_000 == comparison(found, Against.PREVIOUS).requests


def test_what_has_only_warmed_up_is_not_said_to_serve_nothing(store):
    """Right after a deploy there are requests, but none that counts yet."""
    found = reach(asked(store, warm_up_s=1_200.0), now=NOW)

    assert (Missing.WARMING_UP, Outcome.TOO_LITTLE) == (found.missing, found.verdict.outcome)


def test_any_release_can_be_the_other_one(store):
    """`against` names it; one that was marked later is compared from then on."""
    mark(store, "v3", NOW - 600)
    serve(store, "v3", NOW - 600, NOW)

    found = reach(asked(store, "v1", against="v3"), now=NOW)

    assert 1_000 == comparison(found, Against.PREVIOUS).requests_before


def test_routes_can_be_chosen(store):
    """By their template alone or with the method; what matched no route is never judged."""
    serve(store, "v2", DEPLOYED, NOW, route="/other")
    serve(store, "v2", DEPLOYED, NOW, route=UNMATCHED)

    def names(*routes):
        found = reach(asked(store, routes=routes), now=NOW).verdict.routes
        return {one.route for one in found}

    assert {"/pay", "/other"} == names()
    assert {"/pay"} == names("GET /pay")
    assert {"/other"} == names("/other")


def test_a_mark_by_hand_parts_what_names_no_release():
    """Workers without a release are told apart by time."""
    store = MemoryStore()
    mark(store, "v1", NOW - 9_000, by="cli ada")
    mark(store, "v2", DEPLOYED, by="cli ada")
    serve(store, "", NOW - 7_200, DEPLOYED)
    serve(store, "", DEPLOYED, NOW, errors=8, requests=101)

    found = reach(asked(store), now=NOW)

    assert Basis.TIME is found.compared.basis
    errors = comparison(found, Against.PREVIOUS)
    assert (Outcome.WORSE, 2_020, 6_000) == (
        errors.outcome,
        errors.requests,
        errors.requests_before,
    )


def test_what_was_never_seen_has_no_verdict(store):
    """It is told apart from what has nothing beside it."""
    found = reach(asked(store, "v9"), now=NOW)

    assert (Missing.NOT_SEEN, None) == (found.missing, found.verdict)
    assert (None, []) == marks_of(asked(store, "v9"), now=NOW)


def test_a_first_release_has_nothing_beside_it():
    """No release before, nothing of last week."""
    store = MemoryStore()
    mark(store, "v2", DEPLOYED)
    serve(store, "v2", DEPLOYED, NOW)

    found = reach(asked(store), now=NOW)

    assert (Missing.NO_OTHER, None) == (found.missing, found.compared.previous)
    assert Outcome.TOO_LITTLE is found.verdict.outcome


@pytest.mark.parametrize("name", ["v2", "v2-short"])
def test_what_no_worker_serves_is_not_judged_by_the_old_ones(name):
    """The pipeline marked it, but only workers that name another release answer."""
    store = MemoryStore()
    mark(store, "v1", NOW - 9_000)
    mark(store, name, DEPLOYED, by="cli ci")
    serve(store, "v1", NOW - 7_200, NOW)

    found = reach(asked(store, name), now=NOW)

    assert (Missing.NOT_SERVED, Basis.WORKERS) == (found.missing, found.compared.basis)
    assert Outcome.TOO_LITTLE is found.verdict.outcome


def test_marks_that_nobody_ran_are_no_release_before(store):
    """A migration, and a deploy that failed after three requests, lie between v1 and v2."""
    mark(store, "new prices", DEPLOYED - 300, by="cli ada")
    mark(store, "v1.5", DEPLOYED - 240)
    store.add_frames(
        [
            minute(
                int(DEPLOYED) - 240,
                {
                    series(
                        catalogue.HTTP_DURATION,
                        replace(SCOPE, release="v1.5"),
                        status="200",
                        method="GET",
                        route="/pay",
                    ): Histogram([0.05] * 3)
                },
                sequence=99,
            )
        ]
    )

    found = reach(asked(store), now=NOW)

    assert ("v1", (Against.PREVIOUS,)) == (found.compared.previous, found.compared.beside)
    assert Outcome.WORSE is found.verdict.outcome


def test_long_spans_are_read_five_minutes_at_once():
    """Two hours of a release count as a whole, in a fifth of the memory."""
    store = MemoryStore()
    begun = NOW - 7_200
    mark(store, "v1", NOW - 90_000)
    mark(store, "v2", begun)
    serve(store, "v1", begun - 7_200, begun)
    serve(store, "v2", begun, NOW, errors=8)

    found = reach(asked(store), now=NOW)

    errors = comparison(found, Against.PREVIOUS)
    assert (Outcome.WORSE, 12_000) == (errors.outcome, errors.requests)
    sample = read(replace(asked(store), minutes=5), (begun, NOW), "v2")
    assert 24 == len(sample["GET", "/pay"])
    assert {5} == {one.minutes for one in sample["GET", "/pay"]}
