"""requests: what its sessions send, against a real server, with and without urllib3's part."""

import threading
from collections.abc import Iterator

import pytest
import requests
from observed import Observed, inside, within_request
from receivers import Receiver
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import Retry

from watchkeeper.integrations.instruments import requests as instrument
from watchkeeper.integrations.instruments import urllib3 as urllib3_instrument

TIMEOUT_S = 10.0


@pytest.fixture(params=["with urllib3", "alone"])
def watched(observed: Observed, request: pytest.FixtureRequest) -> Iterator[Observed]:
    """Both instruments on, as is usual; or urllib3's switched off by the settings."""
    undo = [instrument.install(observed.observer)]
    if request.param == "with urllib3":
        undo.append(urllib3_instrument.install(observed.observer))
    yield observed
    for uninstall in reversed(undo):
        uninstall()


def host(receiver: Receiver) -> str:
    return f"127.0.0.1:{receiver.port}"


class Canned(BaseAdapter):
    """A user's adapter that needs no network; it answers, or raises what it was given."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error

    def send(self, request, **_):
        if self.error is not None:
            raise self.error
        response = requests.Response()
        response.status_code = 299
        response.request = request
        response.url = request.url
        return response

    def close(self) -> None:
        pass


class Signed(HTTPAdapter):
    """A user's adapter that changes requests, then leaves them to requests' own."""

    def send(self, request, *args, **more):
        request.headers["X-Signature"] = "abc"
        return super().send(request, *args, **more)


def test_a_request_counts_once(watched, receiver):
    """One outgoing request is one observation, though two libraries carry it."""
    receiver.answer(201)

    response = requests.post(f"{receiver.url}/orders/17?token=secret", timeout=TIMEOUT_S)

    assert 201 == response.status_code
    assert {f"POST {host(receiver)} 201": 1} == watched.calls()


def test_each_request_of_a_redirect_counts(watched, receiver):
    """Following a redirect is a second request on the network."""
    receiver.answer_once(302, {"Location": "/elsewhere"})

    response = requests.get(receiver.url, timeout=TIMEOUT_S)

    assert [302] == [earlier.status_code for earlier in response.history]
    assert {
        f"GET {host(receiver)} 302": 1,
        f"GET {host(receiver)} 200": 1,
    } == watched.calls()


def test_a_refused_connection_is_failed(watched, receiver):
    """A request that got no answer counts as failed; the library's own error is raised."""
    receiver.refuse()

    with pytest.raises(requests.ConnectionError):
        requests.get(receiver.url, timeout=TIMEOUT_S)

    assert {f"GET {host(receiver)} (failed)": 1} == watched.calls()


def test_a_streamed_response_counts_when_its_headers_came(watched, receiver):
    """With stream=True the body is read later, and is not waited for."""
    receiver.answer(200, body=b"late")

    with requests.get(receiver.url, stream=True, timeout=TIMEOUT_S) as response:
        assert {f"GET {host(receiver)} 200": 1} == watched.calls()
        assert b"late" == response.content

    assert {f"GET {host(receiver)} 200": 1} == watched.calls()


def test_an_adapter_of_the_users_own_is_seen(watched):
    """An adapter that does not use urllib3 counts as well, under the host asked."""
    with requests.Session() as session:
        session.mount("canned://", Canned())
        session.get("canned://user:secret@api.example.com:99/x?y=z")

    assert {"GET api.example.com:99 299": 1} == watched.calls()


def test_an_adapter_above_requests_own_counts_once(watched, receiver):
    """A subclass that ends in requests' own adapter makes one request, not two."""
    with requests.Session() as session:
        session.mount("http://", Signed())
        session.get(receiver.url)

    assert ["abc"] == [one.headers["x-signature"] for one in receiver.received]
    assert {f"GET {host(receiver)} 200": 1} == watched.calls()


def test_the_exception_of_an_adapter_is_the_same_object(watched):
    """What an adapter raises arrives as it was raised."""
    error = RuntimeError("no network today")

    with requests.Session() as session:
        session.mount("canned://", Canned(error))
        with pytest.raises(RuntimeError) as raised:
            session.get("canned://api.example.com")

    assert error is raised.value
    assert {"GET api.example.com (failed)": 1} == watched.calls()


def test_each_try_counts_where_urllib3_is_watched(observed, receiver):
    """A retry that an adapter makes is a request on the network."""
    receiver.answer_once(503)
    undo = instrument.install(observed.observer)
    undo_urllib3 = urllib3_instrument.install(observed.observer)

    with requests.Session() as session:
        retry = Retry(2, status_forcelist=[503], backoff_factor=0)
        session.mount("http://", HTTPAdapter(max_retries=retry))
        session.get(receiver.url)
    undo_urllib3()
    undo()

    assert {
        f"GET {host(receiver)} 503": 1,
        f"GET {host(receiver)} 200": 1,
    } == observed.calls()


def test_a_request_inside_a_request_is_part_of_it(watched, receiver):
    """The outgoing request is one span of the one being answered."""
    with within_request() as record:
        requests.get(receiver.url, timeout=TIMEOUT_S)

    assert [f"http GET {host(receiver)}"] == inside(record)


def test_requests_of_many_threads_all_count(watched, receiver):
    """Counts are exact under threads."""

    def send() -> None:
        with requests.Session() as session:
            for _ in range(10):
                session.get(receiver.url)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {f"GET {host(receiver)} 200": 80} == watched.calls()


def test_uninstalling_restores_the_library(observed, receiver):
    """Taken out, nothing of it is left, also not in classes that it found later."""
    before = [vars(HTTPAdapter)["send"], vars(Canned)["send"]]
    before.append(vars(requests.Session)["get_adapter"])

    uninstall = instrument.install(observed.observer)
    with requests.Session() as session:
        session.mount("canned://", Canned())
        session.get("canned://api.example.com")
    assert before[1] is not vars(Canned)["send"]
    uninstall()
    requests.get(receiver.url, timeout=TIMEOUT_S)

    after = [vars(HTTPAdapter)["send"], vars(Canned)["send"]]
    after.append(vars(requests.Session)["get_adapter"])
    assert all(one is other for one, other in zip(before, after, strict=True))
    assert {"GET api.example.com 299": 1} == observed.calls()
