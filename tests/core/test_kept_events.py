"""Which events of an issue are kept: laws over any events, and a few that can be looked at."""

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.kept_events import MAX_EVENTS, EventMark, kept


def mark(number: int, at: float, route: str = "GET /", release: str = "v1") -> EventMark:
    """Make a mark; its number is its id."""
    return EventMark(id=f"{number:03}", at=at, route=route, release=release)


def test_all_are_kept_while_there_is_room():
    """Fifty are not too many."""
    marks = [mark(number, number) for number in range(MAX_EVENTS)]

    assert {one.id for one in marks} == kept(marks)
    assert frozenset() == kept([])


def test_they_are_spread_evenly_over_time():
    """Not over their number: a burst at the end does not drive out what came before."""
    hours = [mark(number, number * 3_600.0) for number in range(10)]
    burst = [mark(10 + number, 9 * 3_600.0 + number) for number in range(1, 1_000)]

    found = kept([*hours, *burst], most=10)

    assert {f"{number:03}" for number in range(9)} | {"1009"} == found


def test_rare_routes_and_releases_keep_one():
    """The latest of each."""
    common = [mark(number, float(number)) for number in range(100)]
    rare = [
        mark(100, 10.5, route="GET /rare"),
        mark(101, 11.5, route="GET /rare"),
        mark(102, 12.5, release="v0"),
    ]

    found = kept([*common, *rare], most=5)

    assert {"000", "099", "101", "102"} < found
    assert "100" not in found


def test_many_routes_leave_room_for_the_time_before():
    """Of sixty routes over ten days with a release each, not only the last day is kept."""
    marks = [
        mark(number, number * 60.0, route=f"GET /{number % 60}", release=f"v{number // 1_440}")
        for number in range(10 * 1_440)
    ]

    found = kept(marks)
    left = [one for one in marks if one.id in found]

    days = [int(one.at // 86_400) for one in left]
    assert set(range(10)) == set(days)
    assert all(days.count(day) >= 3 for day in range(10))


MARKS = st.lists(
    st.builds(
        EventMark,
        id=st.integers(0, 10**6).map(str),
        at=st.floats(0, 1e9),
        route=st.sampled_from("abcdef"),
        release=st.sampled_from("123"),
    ),
    unique_by=lambda one: one.id,
    max_size=60,
)


@given(MARKS, st.integers(2, 30))
def test_as_many_as_there_is_room_for_are_kept(marks: list[EventMark], most: int):
    """The first and the last are among them, and the order they come in does not matter."""
    found = kept(marks, most=most)

    assert min(most, len(marks)) == len(found)
    assert found <= {one.id for one in marks}
    ordered = sorted(marks, key=lambda one: (one.at, one.id))
    assert {one.id for one in ordered[:1] + ordered[-1:]} <= found
    assert found == kept(reversed(marks), most=most)


@given(MARKS)
def test_each_route_and_release_keeps_one_while_there_is_room(marks: list[EventMark]):
    """Three releases and six routes have half of what the first and the last leave."""
    found = kept(marks, most=2 + 2 * 9)

    left = [one for one in marks if one.id in found]
    assert {one.route for one in marks} == {one.route for one in left}
    assert {one.release for one in marks} == {one.release for one in left}


@given(MARKS, st.integers(2, 30))
def test_what_was_chosen_is_chosen_again(marks: list[EventMark], most: int):
    """A second look at what is left drops nothing."""
    found = kept(marks, most=most)

    assert found == kept([one for one in marks if one.id in found], most=most)
