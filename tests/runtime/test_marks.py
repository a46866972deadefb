"""Marks: user and tags of the running request or job."""

import asyncio
from collections.abc import Iterator

import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.runtime import observer as observers
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.marks import (
    MAX_RAW_TAG_CHARS,
    MAX_TAGS,
    hashed_user,
    set_user,
    tag,
    use_key,
)
from watchkeeper.runtime.observer import Observer
from watchkeeper.runtime.record import Record, RequestContext, current
from watchkeeper.runtime.recorder import Recorder


class Checkout(Record):
    """A request that can be described."""

    __slots__ = ()

    def describe(self) -> RequestContext:
        return RequestContext(method="POST", route="/checkout", request_id="r-1")


@pytest.fixture
def request_record() -> Iterator[Record]:
    """A request that runs."""
    token = current.set(Checkout.beginning(0.0))
    yield current.get()
    current.reset(token)


@pytest.fixture(autouse=True)
def keyless() -> Iterator[None]:
    """No test leaves a key behind."""
    use_key("")
    yield
    use_key("")


def captured(error: Exception, **context: object) -> dict[str, object]:
    """Return the data of the event that an error becomes."""
    issues = Issues(Scope(service="shop", environment="test"))
    issues.capture(error, context=context)
    ((event,)) = issues.take()[1]
    return event.data


def test_a_users_id_is_kept_as_a_hash_only(request_record: Record):
    """Sixteen hexadecimal digits stand for the user; the same ones each time."""
    set_user(17)

    assert hashed_user("17") == request_record.inside.user
    assert 16 == len(request_record.inside.user)
    assert hashed_user("18") != hashed_user("17")


def test_the_installations_key_makes_other_hashes():
    """Who does not know `secret_key` cannot find an id by trying all of them."""
    plain = hashed_user(17)

    use_key("s3cret")

    keyed = hashed_user(17)
    assert plain != keyed == hashed_user("17")


def test_a_user_who_logs_out_is_nobody(request_record: Record):
    """None takes the user back."""
    set_user("ada")
    set_user(None)

    assert "" == request_record.inside.user


def test_tags_are_texts_and_can_be_replaced_and_removed(request_record: Record):
    """Whatever is given, its text is kept."""
    tag(plan="pro", items=3, beta=True)
    tag(plan="free", beta=None)

    assert {"plan": "free", "items": "3"} == request_record.inside.tags


def test_a_tags_value_is_bounded(request_record: Record):
    """What is held until it is scrubbed, by the flusher, has a limit."""
    tag(text="x" * 5_000)

    assert MAX_RAW_TAG_CHARS == len(request_record.inside.tags["text"])


def test_there_are_at_most_twenty_tags(request_record: Record):
    """Further ones are left out and counted; those that are there can still be changed."""
    observer = Observer(Recorder(Scope(service="shop", environment="test")))
    observers.bind(observer)
    try:
        tag(**{f"n{number}": number for number in range(MAX_TAGS + 5)})
        tag(n0="changed")
    finally:
        observers.unbind()

    assert MAX_TAGS == len(request_record.inside.tags)
    assert "changed" == request_record.inside.tags["n0"]
    assert 5 == observer.recorder.dropped["tags"]


def test_outside_of_a_request_marks_do_nothing():
    """Code that marks its request can run anywhere."""
    set_user(17)
    tag(plan="pro")

    assert current.get() is None


def test_a_value_without_a_text_does_not_raise(request_record: Record):
    """Even a broken object does no harm to the request."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    tag(broken=Broken())
    set_user(Broken())

    assert {} == request_record.inside.tags


def test_an_error_tells_request_user_and_tags(request_record: Record):
    """An error that is captured within a request knows which, for whom and about what."""
    set_user(17)
    tag(plan="pro")

    data = captured(ValueError("no stock"), order_id=5)

    assert {"method": "POST", "route": "/checkout", "request_id": "r-1"} == data["request"]
    assert hashed_user(17) == data["user"]
    assert {"plan": "pro"} == data["tags"]
    assert {"order_id": 5} == data["context"]


def test_an_error_outside_of_any_request_tells_none():
    """A script's error has neither."""
    data = captured(ValueError("no stock"))

    assert ({}, "", {}) == (data["request"], data["user"], data["tags"])


def test_requests_that_run_at_once_keep_their_own_marks():
    """Tasks and threads of one request share its marks; those of another do not see them."""

    async def serve(user: str) -> Record:
        record = Record.beginning(0.0)
        current.set(record)
        await asyncio.sleep(0)
        await asyncio.to_thread(set_user, user)
        return record

    async def both() -> list[Record]:
        return await asyncio.gather(*[asyncio.create_task(serve(user)) for user in ("a", "b")])

    first, second = asyncio.run(both())

    assert hashed_user("a") == first.inside.user
    assert hashed_user("b") == second.inside.user
