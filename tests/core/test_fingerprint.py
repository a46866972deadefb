"""The fingerprint of a described exception."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.fingerprint import (
    MAX_CAUSES,
    MAX_CUSTOM_PARTS,
    Rule,
    customize,
    fingerprint,
    value_of,
)
from watchkeeper.core.masking import mask_digits, parametrize, type_name
from watchkeeper.core.placing import fold
from watchkeeper.core.raised import Raised, TraceFrame, complete, is_complete, logged
from watchkeeper.core.syntax import Statement


def frame(function: str, module: str = "shop.cart", *, application: bool = True) -> TraceFrame:
    """Return a frame of the shop, or of a library."""
    return TraceFrame(module=module, function=function, application=application)


def raised(*frames: TraceFrame, type: str = "KeyError", **more: object) -> Raised:
    """Return a described KeyError that came through `frames`."""
    return Raised(type=type, frames=frames, **more)  # type: ignore[arg-type]


LIBRARY = frame("dispatch", "framework.routing", application=False)
frames = st.builds(
    frame,
    st.sampled_from(["a", "b", "c", "<listcomp>"]),
    st.sampled_from(["shop.cart", "shop.stock"]),
    application=st.booleans(),
)


def test_a_fingerprint_is_versioned_and_stable():
    """A stored fingerprint means the same in every release of this algorithm."""
    computed = fingerprint(raised(frame("checkout"), frame("total")))

    assert "2:2732abf5687858d4" == computed.value
    assert ("type KeyError", "in shop.cart:checkout", "in shop.cart:total") == computed.counted
    assert "shop.cart:total" == computed.culprit
    assert ("1:2732abf5687858d4",) == computed.aliases


def test_the_innermost_two_application_frames_are_the_place():
    """Frames further out, and a library's, do not count; the complete path is kept apart."""
    short = fingerprint(raised(frame("checkout"), frame("total")))
    long = fingerprint(
        raised(LIBRARY, frame("job"), frame("checkout"), LIBRARY, frame("total"), LIBRARY)
    )

    assert short.value == long.value
    assert short.path != long.path


def test_the_number_of_frames_can_be_chosen():
    """With one frame, the users of a shared helper are one issue."""
    one = raised(frame("price"), frame("to_int"))
    other = raised(frame("quantity"), frame("to_int"))

    assert fingerprint(one).value != fingerprint(other).value
    assert (
        fingerprint(one, rule=Rule(frames=1)).value
        == fingerprint(other, rule=Rule(frames=1)).value
    )


def test_an_error_that_only_a_library_saw_is_placed_in_the_library():
    """Without an application frame the library's innermost two count, and the endpoint."""
    error = raised(LIBRARY, replace(LIBRARY, function="serialize"))
    order = replace(error, endpoint=frame("order"))
    stock = replace(error, endpoint=frame("stock"))

    assert (
        "type KeyError",
        "in framework.routing:dispatch",
        "in framework.routing:serialize",
    ) == fingerprint(error).counted
    assert fingerprint(order).value != fingerprint(stock).value


def test_an_endpoint_outside_of_the_trace_drops_nothing():
    """A trace that began below the endpoint is complete as it is."""
    error = raised(frame("member", "shop.tasks"), frame("total"), endpoint=frame("show", "views"))

    assert ("type KeyError", "in shop.tasks:member", "in shop.cart:total") == fingerprint(
        error
    ).counted


def test_what_hands_the_request_on_stands_for_an_endpoint_that_is_not_in_the_trace():
    """A middleware counts neither for a dependency nor for what a library does behind it."""
    middleware, show = frame("middleware", "shop.web"), frame("show", "shop.views")
    call = replace(LIBRARY, function="app", dispatches=True)
    write = replace(LIBRARY, function="write")
    alone = raised(call, write, endpoint=show, statement=STATEMENT)
    behind = replace(alone, frames=[middleware, call, write])
    itself = replace(alone, frames=[middleware, call])
    dependency = replace(alone, frames=[middleware, call, frame("user", "shop.auth")])

    assert fingerprint(alone).counted == fingerprint(behind).counted
    assert ("in shop.views:show", "in framework.routing:write") == fingerprint(behind).counted[1:]
    assert "framework.routing:write" == fingerprint(behind).culprit
    assert {"above": 1} == fingerprint(behind).left_out
    assert ("in shop.views:show", "in framework.routing:app") == fingerprint(itself).counted[1:]
    assert ("in shop.auth:user", "at 00aa") == fingerprint(dependency).counted[1:]


def test_the_endpoint_counts_with_its_class():
    """`get` of two views is two places; functions around it, and other methods, count nothing."""
    get = replace(frame("get", "shop.views"), qualname="make.<locals>.Orders.get")
    library = replace(LIBRARY, function="get", qualname="View.get")
    view = replace(get, qualname="Users.get")
    unknown = TraceFrame(module="", function="get", qualname="Page2.get", file="shop/views.py")

    assert ("in shop.views:Orders.get",) == fingerprint(raised(get, endpoint=get)).counted[1:]
    assert ("in shop.views:Users.get", "in framework.routing:get") == fingerprint(
        raised(LIBRARY, library, endpoint=library, view=view)
    ).counted[1:]
    assert (
        "in shop/views.py:Page2.get" == fingerprint(raised(LIBRARY, endpoint=unknown)).counted[1]
    )
    assert ("in shop.cart:total",) == fingerprint(
        raised(LIBRARY, library, frame("total"), endpoint=library, view=view)
    ).counted[1:]


def test_an_endpoint_that_is_looked_through_is_the_place_if_it_is_alone():
    """What stands above it is the place, if anything does."""
    show = replace(frame("show", "shop.views"), transparent=True)
    above = frame("middleware", "shop.web")

    assert ("in shop.views:show",) == fingerprint(raised(show, endpoint=show)).counted[1:]
    assert ("in shop.web:middleware",) == fingerprint(raised(above, show, endpoint=show)).counted[
        1:
    ]


def test_what_leads_to_the_endpoint_does_not_count():
    """A middleware around the endpoint does not make another error of it."""
    error = raised(
        frame("middleware", "shop.web"),
        frame("show", "shop.views"),
        frame("total"),
        endpoint=frame("show", "shop.views"),
    )

    assert ("type KeyError", "in shop.cart:total") == fingerprint(error).counted


def test_a_detail_of_the_type_counts():
    """A status or an error code tells two errors of one type and place apart."""
    error = raised(frame("total"), detail="404")

    assert ("type KeyError", "in shop.cart:total", "with 404") == fingerprint(error).counted


def test_a_group_is_told_by_its_distinct_leaves():
    """Two kinds of leaves are a group of two; twenty of one kind are that one error."""
    key = raised(frame("a"))
    value = raised(frame("b"), type="ValueError")

    both = fingerprint(raised(frame("outer"), type="ExceptionGroup", leaves=[value, key, key]))
    same = fingerprint(raised(frame("outer"), type="ExceptionGroup", leaves=[key] * 20))

    assert (
        "group of",
        "type KeyError, in shop.cart:a",
        "type ValueError, in shop.cart:b",
    ) == both.counted
    assert fingerprint(key).counted == same.counted
    assert "shop.cart:b" == both.culprit


def test_a_leaf_that_was_never_raised_stands_where_its_group_was_raised():
    """An error that was only made and put into a group has no place of its own."""
    group = raised(frame("outer"), type="ExceptionGroup", leaves=[raised(type="ValueError")])

    assert ("type ValueError", "in shop.cart:outer") == fingerprint(group).counted


def test_a_cause_inside_of_a_library_does_not_count():
    """Which error a library turned into its own is the library's matter."""
    plain = raised(frame("total"))
    caused = replace(plain, cause=raised(LIBRARY, type="OSError"))

    assert fingerprint(plain).counted == fingerprint(caused).counted


def test_at_most_eight_causes_count():
    """An endless chain of causes is cut."""
    chain = raised(frame("f"))
    for _ in range(3 * MAX_CAUSES):
        chain = raised(frame("f"), cause=chain)

    parts = fingerprint(chain).counted

    assert MAX_CAUSES == sum(part.startswith("caused by") for part in parts)


def test_a_group_within_a_cause_is_told_by_its_leaves():
    """What went wrong in a group counts for the error that was made of it."""
    keys = raised(frame("outer"), type="ExceptionGroup", leaves=[raised(frame("a"))])
    values = replace(keys, leaves=[raised(frame("a"), type="ValueError")])

    assert (
        fingerprint(raised(frame("f"), cause=keys)).value
        != fingerprint(raised(frame("f"), cause=values)).value
    )


def test_code_without_a_module_is_told_by_its_file_without_digits():
    """A template or generated function has the file as its place."""
    code = TraceFrame(module="", function="rule_17", file="rules/rule_17.txt")

    assert "rules/rule_#.txt:rule_#" == code.key
    assert "rules/rule_17.txt:rule_17" == code.label


@pytest.mark.parametrize(
    ("expected", "module", "qualname", "run_time"),
    [
        ("KeyError", "builtins", "KeyError", False),
        ("shop.errors.Http404", "shop.errors", "Http404", False),
        ("shop.errors.Rejected_#", "shop.errors", "Rejected_17", True),
        ("shop.errors.Rejected_#", "shop.errors", "Rejected_7f3a9c2", True),
        ("TimeoutError", "asyncio.exceptions", "TimeoutError", False),
        ("TimeoutError", "socket", "timeout", False),
        ("re.error", "re", "PatternError", False),
    ],
)
def test_type_names(expected: str, module: str, qualname: str, run_time: bool):
    """A type is named with its module, by its present name, without numbers made at run time."""
    assert expected == type_name(module, qualname, made_at_run_time=run_time)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("payment <number> failed", "payment 17 failed"),
        ("took <number> s", "took 1.25 s"),
        ("mail to <email> bounced", "mail to ann@shop.example bounced"),
        ("GET <url> failed", "GET https://a.example/x?y=1 failed"),
        ("order <uuid> gone", "order 123e4567-e89b-12d3-a456-426614174000 gone"),
        ("<address> is closed", "0x7f3a9c21 is closed"),
        ("since <date>", "since 2026-01-31T10:00:00Z"),
        ("no route to <ip>", "no route to 10.1.2.3:8080"),
        ("cannot open <path>", "cannot open /srv/app/data.csv"),
        ("no such key <text>", "no such key 'SKU-1'"),
        ("commit <hex> is bad", "commit 7f3a9c21de is bad"),
        ("first line", "first line\nsecond 17"),
        ("a defaced decade", "a defaced decade"),
    ],
)
def test_values_in_a_message_are_replaced_by_their_kind(expected: str, message: str):
    """Only the form of a message counts, and only its first line."""
    assert expected == parametrize(message)


@given(st.text(max_size=300))
def test_masking_is_done_at_once(text: str):
    """Masking a masked name changes nothing, and no digit is left."""
    masked = mask_digits(text)

    assert masked == mask_digits(masked)
    assert not any(character in "0123456789" for character in masked)


@given(st.lists(frames, max_size=30))
def test_a_folded_path_repeats_nothing(path: list[TraceFrame]):
    """Whatever the recursion, each function is in the path once, and the innermost is kept."""
    folded = [one.key for one in fold(path)]
    plain = [one.key for one in path if one.function != "<listcomp>"]

    assert len(set(folded)) == len(folded)
    assert plain[-1:] == folded[-1:]
    assert folded == [one.key for one in fold(fold(path))]


@given(st.lists(frames, min_size=1, max_size=6), st.integers(2, 20))
def test_the_depth_of_a_recursion_never_counts(cycle: list[TraceFrame], times: int):
    """A cycle walked twice or twenty times is the same error."""
    assert fingerprint(raised(*cycle * 2)).value == fingerprint(raised(*cycle * (times + 1))).value


@given(st.lists(frames, max_size=8), st.text(max_size=80))
def test_every_description_has_a_fingerprint(path: list[TraceFrame], message: str):
    """Any trace and any text, lone surrogates too, give sixteen hexadecimal digits."""
    computed = fingerprint(raised(*path, message=message + "\ud800"))

    assert "2:" == computed.value[:2]
    assert 18 == len(computed.value)
    assert set(computed.value[2:]) <= set("0123456789abcdef")


def test_the_users_parts_replace_or_extend_the_computed_fingerprint():
    """`{default}` stands for what would have been computed; parts beyond a cap do not count."""
    here, there = fingerprint(raised(frame("here"))), fingerprint(raised(frame("there")))

    assert customize(here, ["billing"]).value == customize(there, ["billing"]).value
    assert customize(here, ["{default}"]).value != customize(there, ["{default}"]).value
    assert customize(here, ["{default}", "a"]).value != customize(here, ["{default}", "b"]).value
    assert ("own fingerprint", "billing") == customize(here, ["billing"]).counted
    assert (
        customize(here, ["x"] * MAX_CUSTOM_PARTS).value
        == customize(here, ["x"] * (MAX_CUSTOM_PARTS + 1)).value
    )


STATEMENT = Statement(digest="00aa", shown="return prices[sku]")


def test_the_statement_counts_and_its_text_does_not():
    """It is hashed by its syntax; where it is not known the place alone counts."""
    plain = raised(frame("total"))
    known = replace(plain, statement=STATEMENT)
    shown = replace(plain, statement=replace(STATEMENT, shown="return p[s]"))

    assert ("type KeyError", "in shop.cart:total", "at 00aa") == fingerprint(known).counted
    assert fingerprint(known).value == fingerprint(shown).value
    assert fingerprint(known).value != fingerprint(plain).value


def test_the_value_alone_is_that_of_the_fingerprint():
    """A request computes no more than it needs."""
    known = raised(frame("total"), statement=STATEMENT)

    assert fingerprint(known).value == value_of(known, Rule())


def test_each_part_is_stored_as_data():
    """With its kind and text; a statement with its hash, a cause and a member with their parts."""
    cause = raised(frame("pick"), statement=STATEMENT)
    parts = fingerprint(raised(frame("total"), detail="404", cause=cause)).parts

    assert [
        {"kind": "type", "text": "KeyError"},
        {"kind": "frame", "text": "shop.cart:total"},
        {"kind": "detail", "text": "404"},
        {
            "kind": "cause",
            "text": "KeyError",
            "parts": [
                {"kind": "type", "text": "KeyError"},
                {"kind": "frame", "text": "shop.cart:pick"},
                {"kind": "statement", "text": "return prices[sku]", "hash": "00aa"},
            ],
        },
    ] == [part.as_json() for part in parts]


def test_transparent_frames_are_looked_through():
    """The place is what called them; where there is nothing else they are the place."""
    util = replace(frame("check", "shop.util"), transparent=True)
    called = raised(frame("show", "shop.views"), frame("total"), util)
    alone = raised(util)

    assert ("type KeyError", "in shop.cart:total") == fingerprint(called).counted
    assert ("type KeyError", "in shop.util:check") == fingerprint(alone).counted
    assert fingerprint(raised(frame("total"), util)).counted == fingerprint(called).counted


def test_an_endless_recursion_is_placed_where_it_comes_round():
    """Wherever on the way round the limit was met, and in whatever was called there."""
    turn = [frame("even"), frame("odd")]
    begin = [frame("show", "shop.views"), *turn * 400]

    def place(*more: TraceFrame) -> tuple[str, ...]:
        error = raised(*begin, *more, type="RecursionError", statement=STATEMENT)
        return fingerprint(error).counted

    assert ("type RecursionError", "in shop.cart:even") == place()
    assert place() == place(frame("even")) == place(frame("even"), frame("helper"))


def test_a_recursion_of_a_library_is_placed_in_the_application():
    """As every other error, with the statement that called the library."""
    error = raised(frame("total"), *[LIBRARY] * 900, type="RecursionError", statement=STATEMENT)

    assert ("type RecursionError", "in shop.cart:total", "at 00aa") == fingerprint(error).counted


def test_what_does_not_count_is_said():
    """The endpoint, the frames above the place, transparent, folded and a library's ones."""
    util = replace(frame("check", "shop.util"), transparent=True)
    error = raised(
        LIBRARY,
        frame("show", "shop.views"),
        *[frame("down"), frame("down"), frame("down")],
        util,
        frame("total"),
        endpoint=frame("show", "shop.views"),
    )

    assert {
        "endpoint": "shop.views:show",
        "above": 2,
        "transparent": 1,
        "folded": 2,
        "library": 1,
    } == fingerprint(error).left_out
    assert {} == fingerprint(raised(frame("total"))).left_out


def test_where_a_task_was_when_it_timed_out_does_not_count():
    """The cancellation that a TimeoutError was made of is no cause; what that was made of is."""
    late = raised(frame("report"), type="TimeoutError")
    asleep = raised(frame("sleep"), type="asyncio.exceptions.CancelledError")

    assert fingerprint(late).value == fingerprint(replace(late, cause=asleep)).value
    assert (
        fingerprint(late).value
        != fingerprint(replace(late, cause=replace(asleep, cause=raised(frame("a"))))).value
    )


def test_a_log_record_is_told_by_logger_and_template():
    """A template counts as it is, a message without its values; there was no first version."""
    record = fingerprint(logged("shop.stock", template="stock of '%s' is 7"))

    assert ("logger shop.stock", "message stock of '%s' is 7") == record.counted
    assert ("shop.stock", ()) == (record.culprit, record.aliases)
    assert ("logger shop.stock", "message stock of <text> is <number>") == fingerprint(
        logged("shop.stock", message="stock of 'tea' is 7")
    ).counted


def test_the_first_version_took_other_details():
    """Its fingerprint is made of what it saw, so that its issues are found."""
    error = raised(frame("total"), detail="23505 users_email_key", first_detail="23505")
    made = raised(message="a rule is wrong", first_message="a rule is wrong (line 3)")

    assert (fingerprint(raised(frame("total"), detail="23505")).aliases) == fingerprint(
        error
    ).aliases
    assert (
        fingerprint(raised(message="a rule is wrong (line 3)")).aliases
        == fingerprint(made).aliases
    )


def test_own_fingerprints_keep_their_issues():
    """One of the first version is an alias, with and without the computed part."""
    computed = fingerprint(raised(frame("total")))

    assert ("1:a737bb21b22d691c",) == customize(computed, ["billing"]).aliases
    assert ("1:2e7014262d0078cb",) == customize(computed, ["{default}", "acme"]).aliases


def test_a_description_is_completed_where_statements_are_missing():
    """Those of causes and of a group's members too; what was read already stays."""
    spot = replace(raised(frame("total")), spot="there")
    group = raised(frame("all"), leaves=[spot, raised(frame("a"), statement=STATEMENT)])
    error = replace(spot, cause=group)

    done = complete(error, {"there": STATEMENT}.get)

    assert not is_complete(error)
    assert is_complete(done)
    assert [STATEMENT] * 3 == [
        done.statement,
        *[leaf.statement for leaf in (done.cause.leaves if done.cause else ())],
    ]
