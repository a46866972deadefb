"""redis-py: commands and pipelines against a real server."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
import redis
from observed import Observed, inside, within_request
from redis import asyncio as redis_async

from watchkeeper.integrations.instruments import redis as instrument


@pytest.fixture
def watched(observed: Observed) -> Iterator[Observed]:
    uninstall = instrument.install(observed.observer)
    yield observed
    uninstall()


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as opened:
        opened.ping()
        yield opened


def test_a_command_counts_by_its_name(client, watched):
    """Keys and values are not recorded, however the command is written."""
    client.set("user:17", "secret")
    assert b"secret" == client.get("user:17")
    client.execute_command("get user:17")
    client.execute_command("CONFIG GET", "maxmemory")

    assert {"redis SET": 1, "redis GET": 2, "redis CONFIG": 1} == watched.commands()
    assert {} == watched.failed_commands()


def test_a_pipeline_counts_as_one(client, watched):
    """What is sent at once is one command; an empty pipeline sends nothing."""
    with client.pipeline() as pipeline:
        pipeline.set("a", 1).incr("a").get("a")
        assert [True, 2, b"2"] == pipeline.execute()
        assert [] == pipeline.execute()

    assert {"redis PIPELINE": 1} == watched.commands()


def test_what_a_transaction_watches_counts(client, watched):
    """Commands that a pipeline sends at once, before MULTI, count one by one."""
    with client.pipeline() as pipeline:
        pipeline.watch("a")
        pipeline.get("a")
        pipeline.multi()
        pipeline.set("a", 1)
        pipeline.execute()

    assert {"redis WATCH": 1, "redis GET": 1, "redis PIPELINE": 1} == watched.commands()


def test_a_command_that_fails_counts_as_failed(client, watched):
    """The error of the server is raised as it came, and counted."""
    client.set("text", "x")

    with pytest.raises(redis.ResponseError):
        client.incr("text")

    assert {"redis SET": 1, "redis INCRBY": 1} == watched.commands()
    assert {"redis INCRBY": 1} == watched.failed_commands()


def test_a_server_that_is_away_counts_as_failed(watched):
    """No connection is a failed command; the library's own error is raised."""
    client = redis.Redis(port=1, retry=None, socket_connect_timeout=1)

    with pytest.raises(redis.ConnectionError):
        client.get("a")

    assert {"redis GET": 1} == watched.failed_commands()


def test_the_exception_is_the_same_object(watched, client, monkeypatch):
    """What is raised below arrives as it was raised."""
    error = RuntimeError("no connection today")

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(client.connection_pool, "get_connection", refuse)

    with pytest.raises(RuntimeError) as raised:
        client.get("a")

    assert error is raised.value
    assert {"redis GET": 1} == watched.failed_commands()


def test_async_commands_count(redis_url, watched):
    """Clients for asyncio are seen as well: commands, pipelines, transactions."""

    async def main() -> None:
        async with redis_async.Redis.from_url(redis_url) as client:
            await asyncio.gather(*[client.incr("n") for _ in range(10)])
            async with client.pipeline() as pipeline:
                await pipeline.watch("n")
                assert b"10" == await pipeline.get("n")
                pipeline.multi()
                assert [True] == await pipeline.set("n", 1).execute()
            with pytest.raises(redis.ResponseError):
                await client.lpush("n", 1)

    asyncio.run(main())

    assert {
        "redis INCRBY": 10,
        "redis WATCH": 1,
        "redis GET": 1,
        "redis PIPELINE": 1,
        "redis LPUSH": 1,
    } == watched.commands()
    assert {"redis LPUSH": 1} == watched.failed_commands()


def test_a_cancelled_command_counts_as_failed(redis_url, watched):
    """A task that is cancelled while it waits counts as failed."""

    async def main() -> None:
        async with redis_async.Redis.from_url(redis_url) as client:
            await client.ping()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.blpop("empty"), 0.05)

    asyncio.run(main())

    assert {"redis BLPOP": 1} == watched.failed_commands()


def test_names_that_are_no_commands_are_folded(client, watched):
    """What a caller makes up does not become a label."""
    for wrong in ("user@example.com", "17", "x" * 500):
        with pytest.raises(redis.ResponseError):
            client.execute_command(wrong)

    assert {"redis _OTHER": 3} == watched.failed_commands()


def test_a_command_inside_a_request_is_part_of_it(client, watched):
    """Commands are spans of the kind "cache"."""
    with within_request() as record:
        client.get("a")

    assert ["cache redis GET"] == inside(record)


def test_commands_of_many_threads_all_count(client, watched):
    """Counts are exact under threads that share a client."""
    threads = [
        threading.Thread(target=lambda: [client.incr("n") for _ in range(50)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert b"400" == client.get("n")
    assert {"redis INCRBY": 400, "redis GET": 1} == watched.commands()


def test_uninstalling_restores_the_library(client, observed):
    """Taken out, nothing of it is left and nothing counts."""
    places = [
        (owner, name)
        for owner in (redis.Redis, redis_async.Redis)
        for name in ("execute_command",)
    ] + [
        (owner, name)
        for owner in (redis.client.Pipeline, redis_async.client.Pipeline)
        for name in ("immediate_execute_command", "execute")
    ]
    before = [vars(owner)[name] for owner, name in places]

    uninstall = instrument.install(observed.observer)
    uninstall()
    client.get("a")

    after = [vars(owner)[name] for owner, name in places]
    assert all(one is other for one, other in zip(before, after, strict=True))
    assert {} == observed.commands()
