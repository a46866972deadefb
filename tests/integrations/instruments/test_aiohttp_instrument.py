"""aiohttp's client: what its sessions send, against a real server."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import aiohttp
import pytest
from observed import Observed, inside, within_request
from receivers import Receiver

from watchkeeper.integrations.instruments import aiohttp as instrument


@pytest.fixture
def watched(observed: Observed) -> Iterator[Observed]:
    uninstall = instrument.install(observed.observer)
    yield observed
    uninstall()


def host(receiver: Receiver) -> str:
    return f"127.0.0.1:{receiver.port}"


def run(work: Callable[[aiohttp.ClientSession], Awaitable[object]], **more: object) -> None:
    """Do something with a session."""

    async def main() -> None:
        async with aiohttp.ClientSession(**more) as session:
            await work(session)

    asyncio.run(main())


async def fetch(session: aiohttp.ClientSession, url: str, **more: object) -> int:
    async with session.get(url, **more) as response:
        await response.read()
        return response.status


def test_a_request_counts_by_method_host_and_status(watched, receiver):
    """One outgoing request is one observation; path and query are not recorded."""
    receiver.answer(404)

    run(lambda session: session.post(f"{receiver.url}/orders/17?token=secret"))

    assert {f"POST {host(receiver)} 404": 1} == watched.calls()


def test_requests_at_once_all_count(watched, receiver):
    """Counts are exact when many requests of a session run at once."""

    async def many(session: aiohttp.ClientSession) -> None:
        await asyncio.gather(*[fetch(session, receiver.url) for _ in range(40)])

    run(many)

    assert {f"GET {host(receiver)} 200": 40} == watched.calls()


def test_each_request_of_a_redirect_counts(watched, receiver):
    """Following a redirect is a second request on the network."""
    receiver.answer_once(302, {"Location": "/elsewhere"})

    run(lambda session: fetch(session, receiver.url))

    assert {
        f"GET {host(receiver)} 302": 1,
        f"GET {host(receiver)} 200": 1,
    } == watched.calls()


def test_too_many_redirects_are_no_further_request(watched, receiver):
    """Giving up after the last redirect sends nothing more."""
    receiver.answer(302, {"Location": "/again"})

    with pytest.raises(aiohttp.TooManyRedirects):
        run(lambda session: fetch(session, receiver.url, max_redirects=3))

    assert 3 == len(receiver.received)
    assert {f"GET {host(receiver)} 302": 3} == watched.calls()


def test_a_refused_connection_is_failed(watched, receiver):
    """A request that got no answer counts as failed; the library's own error is raised."""
    receiver.refuse()

    with pytest.raises(aiohttp.ClientConnectorError):
        run(lambda session: fetch(session, receiver.url))

    assert {f"GET {host(receiver)} (failed)": 1} == watched.calls()


def test_a_cancelled_request_is_failed(watched, receiver):
    """A task that is cancelled while it waits for the answer counts as failed."""
    receiver.hang()

    async def give_up(session: aiohttp.ClientSession) -> None:
        task = asyncio.create_task(fetch(session, receiver.url))
        await asyncio.to_thread(receiver.wait_for, 1)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        run(give_up)

    assert {f"GET {host(receiver)} (failed)": 1} == watched.calls()


def test_a_status_that_raises_is_no_failure_of_the_network(watched, receiver):
    """With raise_for_status the answer has come all the same, with its status."""
    receiver.answer(503)

    with pytest.raises(aiohttp.ClientResponseError):
        run(lambda session: fetch(session, receiver.url), raise_for_status=True)

    assert {f"GET {host(receiver)} 503": 1} == watched.calls()


def test_an_address_that_is_none_is_no_request(watched):
    """What is refused before anything is sent does not count."""
    with pytest.raises(aiohttp.InvalidURL):
        run(lambda session: fetch(session, "http://"))

    assert {} == watched.calls()


def test_the_exception_is_the_same_object(watched, receiver):
    """What is raised below arrives as it was raised."""
    error = RuntimeError("no such host today")

    class Resolver(aiohttp.abc.AbstractResolver):
        async def resolve(self, *args: object, **more: object) -> list:
            raise error

        async def close(self) -> None:
            pass

    async def main() -> None:
        connector = aiohttp.TCPConnector(resolver=Resolver())
        async with aiohttp.ClientSession(connector=connector) as session:
            await fetch(session, "http://user:secret@api.example.com/x")

    with pytest.raises(RuntimeError) as raised:
        asyncio.run(main())

    assert error is raised.value
    assert {"GET api.example.com (failed)": 1} == watched.calls()


@pytest.mark.parametrize("place", ["session", "request"])
def test_the_users_own_middlewares_go_on(watched, receiver, place):
    """Middlewares of a session, or of one request, are called as before; each try counts."""
    receiver.answer_once(503)

    async def try_again(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType):
        response = await send(request)
        if response.status == 503:
            response.release()
            response = await send(request)
        return response

    own = {"middlewares": [try_again]}
    if place == "session":
        run(lambda session: fetch(session, receiver.url), **own)
    else:
        run(lambda session: fetch(session, receiver.url, **own))

    assert {
        f"GET {host(receiver)} 503": 1,
        f"GET {host(receiver)} 200": 1,
    } == watched.calls()


def test_a_request_inside_a_request_is_part_of_it(watched, receiver):
    """The outgoing request is a span of the one being answered."""
    with within_request() as record:
        run(lambda session: fetch(session, receiver.url))

    assert [f"http GET {host(receiver)}"] == inside(record)


def test_uninstalling_restores_the_library(observed, receiver):
    """Taken out, nothing of it is left; sessions that are open count nothing any more."""
    before = vars(aiohttp.ClientSession)["_request"]

    uninstall = instrument.install(observed.observer)

    async def across(session: aiohttp.ClientSession) -> None:
        await fetch(session, receiver.url)
        uninstall()
        await fetch(session, receiver.url)

    run(across)
    run(lambda session: fetch(session, receiver.url))

    assert before is vars(aiohttp.ClientSession)["_request"]
    assert {f"GET {host(receiver)} 200": 1} == observed.calls()
