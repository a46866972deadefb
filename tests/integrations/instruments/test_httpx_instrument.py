"""httpx: what its clients send, against a real server."""

import asyncio
import threading
from collections.abc import Iterator

import httpx
import pytest
from observed import HTTP_CLIENT, Observed, inside, within_request
from receivers import Receiver

from watchkeeper.integrations.instruments import httpx as instrument


@pytest.fixture
def watched(observed: Observed) -> Iterator[Observed]:
    uninstall = instrument.install(observed.observer)
    yield observed
    uninstall()


def host(receiver: Receiver) -> str:
    return f"127.0.0.1:{receiver.port}"


def test_a_request_counts_by_method_host_and_status(watched, receiver):
    """One outgoing request is one observation; path and query are not recorded."""
    receiver.answer(201)

    response = httpx.post(f"{receiver.url}/orders/17?token=secret", json={})

    assert 201 == response.status_code
    assert {f"POST {host(receiver)} 201": 1} == watched.calls()


def test_an_async_request_counts(watched, receiver):
    """Clients for asyncio are seen as well."""

    async def fetch() -> None:
        async with httpx.AsyncClient() as client:
            await asyncio.gather(*[client.get(receiver.url) for _ in range(10)])

    asyncio.run(fetch())

    assert {f"GET {host(receiver)} 200": 10} == watched.calls()


def test_each_request_of_a_redirect_counts(watched, receiver):
    """Following a redirect is a second request on the network."""
    receiver.answer_once(302, {"Location": "/elsewhere"})

    response = httpx.get(receiver.url, follow_redirects=True)

    assert [302] == [earlier.status_code for earlier in response.history]
    assert {
        f"GET {host(receiver)} 302": 1,
        f"GET {host(receiver)} 200": 1,
    } == watched.calls()


def test_a_refused_connection_is_failed(watched, receiver):
    """A request that got no answer counts as failed; the library's own error is raised."""
    receiver.refuse()

    with pytest.raises(httpx.ConnectError) as raised:
        httpx.get(receiver.url)

    assert receiver.url == str(raised.value.request.url)
    assert {f"GET {host(receiver)} (failed)": 1} == watched.calls()


def test_the_exception_of_a_transport_is_the_same_object(watched):
    """What a transport of the user's own raises arrives as it was raised."""
    error = RuntimeError("no network today")

    def handle(request: httpx.Request) -> httpx.Response:
        raise error

    client = httpx.Client(transport=httpx.MockTransport(handle))
    with client, pytest.raises(RuntimeError) as raised:
        client.get("https://user:secret@api.example.com/x")

    assert error is raised.value
    assert {"GET api.example.com (failed)": 1} == watched.calls()


def test_a_transport_of_the_users_own_is_seen(watched):
    """Whatever carries the request, it counts once, under its host."""
    transport = httpx.MockTransport(lambda request: httpx.Response(204))

    with httpx.Client(transport=transport) as client:
        client.request("PURGE", "https://api.example.com/x")
        client.get("http://api.example.com:8080/")
        client.get("http://[::1]:8080/")

    assert {
        "_OTHER api.example.com 204": 1,
        "GET api.example.com:8080 204": 1,
        "GET [::1]:8080 204": 1,
    } == watched.calls()


def test_a_cancelled_request_is_failed(watched, receiver):
    """A task that is cancelled while it waits for the answer counts as failed."""
    receiver.hang()

    async def give_up() -> None:
        async with httpx.AsyncClient() as client:
            task = asyncio.create_task(client.get(receiver.url))
            await asyncio.to_thread(receiver.wait_for, 1)
            task.cancel()
            await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(give_up())

    assert {f"GET {host(receiver)} (failed)": 1} == watched.calls()


def test_a_streamed_response_counts_when_its_headers_came(watched):
    """Reading the body afterwards is not part of the request's time."""
    seen = {}

    def body() -> Iterator[bytes]:
        seen.update(watched.calls())
        yield b"late"

    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=body()))

    client = httpx.Client(transport=transport)
    with client, client.stream("GET", "https://api.example.com/") as response:
        assert b"late" == response.read()

    assert {"GET api.example.com 200": 1} == seen == watched.calls()


def test_a_request_inside_a_request_is_part_of_it(watched, receiver):
    """The outgoing request is a span of the one being answered."""
    with within_request() as record:
        httpx.get(receiver.url)

    assert [f"http GET {host(receiver)}"] == inside(record)


def test_requests_of_many_threads_all_count(watched, receiver):
    """Counts are exact under threads that share a client."""
    with httpx.Client() as client:
        threads = [
            threading.Thread(target=lambda: [client.get(receiver.url) for _ in range(10)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert {f"GET {host(receiver)} 200": 80} == watched.calls()


def test_uninstalling_restores_the_library(observed, receiver):
    """Taken out, nothing of it is left and nothing counts."""
    before = vars(httpx.Client)["_send_single_request"]
    before_async = vars(httpx.AsyncClient)["_send_single_request"]

    uninstall = instrument.install(observed.observer)
    assert before is not vars(httpx.Client)["_send_single_request"]
    uninstall()
    httpx.get(receiver.url)

    assert before is vars(httpx.Client)["_send_single_request"]
    assert before_async is vars(httpx.AsyncClient)["_send_single_request"]
    assert {} == observed.calls()


def test_uninstalling_below_somebody_elses_patch(observed, monkeypatch, receiver):
    """Where others wrapped the method later, theirs stays, and ours does nothing any more."""
    uninstall = instrument.install(observed.observer)
    ours = httpx.Client._send_single_request
    monkeypatch.setattr(
        httpx.Client, "_send_single_request", lambda self, request: ours(self, request)
    )
    theirs = httpx.Client._send_single_request

    uninstall()

    assert 200 == httpx.get(receiver.url).status_code
    assert theirs is httpx.Client._send_single_request
    assert {} == observed.calls()
    monkeypatch.undo()
    httpx.Client._send_single_request = ours.__wrapped__


def test_the_time_is_that_until_the_headers(watched, receiver):
    """The seconds observed are positive, and below those of the whole call."""
    response = httpx.get(receiver.url)

    assert 0 < watched.seconds(HTTP_CLIENT) <= response.elapsed.total_seconds()
