"""urllib3: what its pools send, against a real server."""

import threading
from collections.abc import Iterator

import pytest
import urllib3
from observed import Observed, inside, within_request
from receivers import Receiver
from urllib3.connectionpool import HTTPConnectionPool

from watchkeeper.integrations.instruments import urllib3 as instrument


@pytest.fixture
def watched(observed: Observed) -> Iterator[Observed]:
    uninstall = instrument.install(observed.observer)
    yield observed
    uninstall()


@pytest.fixture
def pools() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False) as manager:
        yield manager


def host(receiver: Receiver) -> str:
    return f"127.0.0.1:{receiver.port}"


def test_a_request_counts_by_method_host_and_status(watched, receiver, pools):
    """One outgoing request is one observation; path and query are not recorded."""
    receiver.answer(404)

    response = pools.request("GET", f"{receiver.url}/orders/17?token=secret")

    assert 404 == response.status
    assert {f"GET {host(receiver)} 404": 1} == watched.calls()


def test_each_request_of_a_redirect_counts(watched, receiver, pools):
    """Following a redirect is a second request on the network."""
    receiver.answer_once(302, {"Location": "/elsewhere"})

    response = pools.request("GET", receiver.url, retries=3)

    assert 200 == response.status
    assert {
        f"GET {host(receiver)} 302": 1,
        f"GET {host(receiver)} 200": 1,
    } == watched.calls()


def test_each_try_counts(watched, receiver, pools):
    """A retry is another request on the network: the server sees it as well."""
    receiver.answer_once(503)
    receiver.answer_once(503)

    retries = urllib3.Retry(3, status_forcelist=[503], backoff_factor=0)
    response = pools.request("GET", receiver.url, retries=retries)

    assert 200 == response.status
    assert 3 == len(receiver.received)
    assert {
        f"GET {host(receiver)} 503": 2,
        f"GET {host(receiver)} 200": 1,
    } == watched.calls()


def test_a_refused_connection_is_failed(watched, receiver, pools):
    """A request that got no answer counts as failed; the library's own error is raised."""
    receiver.refuse()

    with pytest.raises(urllib3.exceptions.NewConnectionError):
        pools.request("GET", receiver.url)

    assert {f"GET {host(receiver)} (failed)": 1} == watched.calls()


def test_a_timeout_is_failed(watched, receiver, pools):
    """A server that does not answer in time is a failure."""
    receiver.hang()

    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        pools.request("GET", receiver.url, timeout=0.05)

    assert {f"GET {host(receiver)} (failed)": 1} == watched.calls()


def test_the_exception_is_the_same_object(watched, receiver):
    """What the library raises arrives as it was raised."""
    error = ValueError("a body that cannot be read")

    class Body:
        def read(self, size: int) -> bytes:
            raise error

    pool = urllib3.HTTPConnectionPool("127.0.0.1", receiver.port, retries=False)
    with pool, pytest.raises(ValueError, match="cannot be read") as raised:
        pool.urlopen("POST", "/", body=Body(), headers={"Content-Length": "3"})

    assert error is raised.value
    assert {f"POST {host(receiver)} (failed)": 1} == watched.calls()


def test_a_streamed_response_counts_when_its_headers_came(watched, receiver, pools):
    """With preload_content=False the body is read later, and is not waited for."""
    receiver.answer(200, body=b"late")

    response = pools.request("GET", receiver.url, preload_content=False)

    assert {f"GET {host(receiver)} 200": 1} == watched.calls()
    assert b"late" == response.read()
    assert {f"GET {host(receiver)} 200": 1} == watched.calls()


def test_through_a_proxy_the_host_asked_is_named(watched, receiver):
    """A proxy that forwards plain HTTP is not the host; the host in the address is."""
    with urllib3.ProxyManager(f"http://127.0.0.1:{receiver.port}", retries=False) as proxy:
        proxy.request("GET", "http://user:secret@shop.example.com/items?page=2")

    assert receiver.received[0].path.startswith("http://")
    assert {"GET shop.example.com 200": 1} == watched.calls()


def test_a_request_inside_a_request_is_part_of_it(watched, receiver, pools):
    """The outgoing request is a span of the one being answered."""
    with within_request() as record:
        pools.request("GET", receiver.url)

    assert [f"http GET {host(receiver)}"] == inside(record)


def test_requests_of_many_threads_all_count(watched, receiver):
    """Counts are exact under threads that share a pool."""
    with urllib3.PoolManager(maxsize=8) as pools:
        threads = [
            threading.Thread(
                target=lambda: [pools.request("GET", receiver.url) for _ in range(10)]
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert {f"GET {host(receiver)} 200": 80} == watched.calls()


def test_uninstalling_restores_the_library(observed, receiver, pools):
    """Taken out, nothing of it is left and nothing counts."""
    before = vars(HTTPConnectionPool)["_make_request"]

    uninstall = instrument.install(observed.observer)
    assert before is not vars(HTTPConnectionPool)["_make_request"]
    uninstall()
    pools.request("GET", receiver.url)

    assert before is vars(HTTPConnectionPool)["_make_request"]
    assert {} == observed.calls()
