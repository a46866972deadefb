"""Django's instrument: the statements of its connections, by the ORM and by hand."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django_site  # noqa: F401  # sets Django up, once per process
import pytest
from asgiref.sync import sync_to_async
from django.db import IntegrityError, connections, models, transaction
from django.test.utils import CaptureQueriesContext
from observed import Observed, inside, within_request

from watchkeeper.integrations.instruments import django_orm as instrument
from watchkeeper.integrations.instruments import psycopg as psycopg_instrument

DATABASE = "shop"  # an alias of these tests' own, beside whatever other tests use


class Author(models.Model):
    """Somebody who writes books."""

    name = models.CharField(max_length=20, unique=True)

    class Meta:
        app_label = "orm_instrument"


class Book(models.Model):
    """Something to read."""

    author = models.ForeignKey(Author, models.CASCADE)

    class Meta:
        app_label = "orm_instrument"


def configured(url: str, folder: Path) -> dict[str, Any]:
    """Return Django's settings of a database."""
    if url == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "shop.db")}
    host, _, name = url.partition("@")[2].partition("/")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": host.partition(":")[0],
        "PORT": host.partition(":")[2],
        "NAME": name,
        "USER": "watchkeeper",
    }


@pytest.fixture(params=["sqlite", "postgresql"])
def vendor(request: pytest.FixtureRequest, observed: Observed, tmp_path: Path) -> Iterator[str]:
    """Give a database of each kind, with Django and psycopg instrumented: nothing counts twice."""
    vendor = str(request.param)
    url = vendor if vendor == "sqlite" else str(request.getfixturevalue("postgres_url"))
    databases = connections.configure_settings(
        {"default": {}, DATABASE: configured(url, tmp_path)}
    )
    connections.databases[DATABASE] = databases[DATABASE]
    undo = [one.install(observed.observer) for one in (psycopg_instrument, instrument)]
    with connections[DATABASE].schema_editor() as editor:
        editor.create_model(Author)
        editor.create_model(Book)
    yield vendor
    for one in undo:
        one()
    connections[DATABASE].close()
    del connections[DATABASE]
    del connections.databases[DATABASE]


def shelves(authors: int) -> None:
    """Store authors with one book each."""
    Author.objects.using(DATABASE).bulk_create(Author(name=f"n{n}") for n in range(authors))
    Book.objects.using(DATABASE).bulk_create(
        Book(author=author) for author in Author.objects.using(DATABASE).all()
    )


def test_each_statement_counts_once_with_its_rows(observed: Observed, vendor: str):
    """The ORM's statements count under their text without values; results are Django's."""
    shelves(3)
    before = observed.statements()
    names = list(Author.objects.using(DATABASE).filter(name="n1").values_list("name", flat=True))
    assert 3 == Author.objects.using(DATABASE).update(name=models.F("name"))

    author = '"orm_instrument_author"'
    asked = f'SELECT {author}."name" AS "name" FROM {author} WHERE {author}."name" = ?'
    updated = f'UPDATE {author} SET "name" = {author}."name"'
    assert ["n1"] == names
    assert {asked: 1, updated: 1} == {
        text: count for text, count in observed.statements().items() if text not in before
    }
    assert 3 == observed.rows()[updated]
    assert observed.commands()[f"{vendor} SELECT"] >= 1


def test_a_failing_statement_counts_as_failed(observed: Observed, vendor: str):
    """The exception is Django's own, and the transaction is usable as Django says."""
    with transaction.atomic(using=DATABASE):
        Author.objects.using(DATABASE).create(name="a")
        with pytest.raises(IntegrityError), transaction.atomic(using=DATABASE):
            Author.objects.using(DATABASE).create(name="a")
        assert 1 == Author.objects.using(DATABASE).count()

    assert {f"{vendor} INSERT": 1} == observed.failed_commands()
    assert 1 == observed.statements()["SAVEPOINT ?"]
    assert 1 == observed.statements()["ROLLBACK TO SAVEPOINT ?"]


def test_statements_are_part_of_the_request_that_runs(observed: Observed, vendor: str):
    """Inside a request each statement is a span whose caller is the application's code."""
    with within_request() as record, connections[DATABASE].cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.executemany("INSERT INTO orm_instrument_author (name) VALUES (%s)", [["a"], ["b"]])

    assert [
        "db SELECT ?",
        "db INSERT INTO orm_instrument_author (name) VALUES (?)",
    ] == inside(record)
    (caller,) = observed.callers("SELECT ?")
    assert caller.endswith(":test_statements_are_part_of_the_request_that_runs")


def test_lazy_loads_are_seen_one_by_one(observed: Observed, vendor: str):
    """What the ORM asks for by itself is counted too: here an N+1, and not with a join."""
    shelves(12)

    def lazy() -> list[int]:
        counts = observed.statements()
        return [count for text, count in counts.items() if text.endswith('"id" = ? LIMIT ?')]

    for book in Book.objects.using(DATABASE).all():
        assert book.author.name
    assert [12] == lazy()
    for book in Book.objects.using(DATABASE).select_related("author"):
        assert book.author.name
    assert [12] == lazy()


def test_streamed_results_come_through_whole(observed: Observed, vendor: str):
    """`iterator()` counts as one statement, and every row arrives."""
    shelves(50)
    before = sum(observed.statements().values())

    assert 50 == len(list(Author.objects.using(DATABASE).iterator(chunk_size=10)))

    assert 1 == sum(observed.statements().values()) - before


def test_other_threads_are_seen(observed: Observed, vendor: str):
    """Every thread has connections of its own; each joins when it opens one."""

    def ask() -> None:
        for _ in range(20):
            with connections[DATABASE].cursor() as cursor:
                cursor.execute("SELECT 1, 2")
        connections[DATABASE].close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 80 == observed.statements()["SELECT ?, ?"]


def test_async_views_are_seen(observed: Observed, vendor: str):
    """Django runs an awaited query in a thread; it belongs to the request that awaits it."""

    async def view() -> list[str]:
        with within_request() as record:
            assert 0 == await Author.objects.using(DATABASE).acount()
        await sync_to_async(forget)()
        return inside(record)

    def forget() -> None:  # in the thread of the query, which outlives the test
        connections[DATABASE].close()
        del connections[DATABASE]

    *_, last = asyncio.run(view())  # PostgreSQL is told the time zone first
    assert 'db SELECT count(*) AS "__count" FROM "orm_instrument_author"' == last


def test_wrappers_of_the_application_stay_in_order(observed: Observed, vendor: str):
    """A wrapper around the block in which a connection is opened leaves as it came."""
    seen: list[str] = []

    def theirs(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    connection = connections[DATABASE]
    connection.close()
    with connection.execute_wrapper(theirs), connection.cursor() as cursor:
        cursor.execute("SELECT 1, 2")
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1, 2")

    assert ["SELECT 1, 2"] == seen
    assert 2 == observed.statements()["SELECT ?, ?"]
    assert 1 == len(connection.execute_wrappers)


def test_djangos_own_log_of_queries_is_as_before(observed: Observed, vendor: str):
    """`assertNumQueries` and the debug log see what they saw."""
    with CaptureQueriesContext(connections[DATABASE]) as captured:
        Author.objects.using(DATABASE).count()

    assert 1 == len(captured)


def test_uninstalling_leaves_every_connection(observed: Observed, vendor: str):
    """Afterwards open connections have no wrapper of ours, and new ones get none."""
    second = Observed()
    undo = instrument.install(second.observer)
    connection = connections[DATABASE]
    assert 2 == len(connection.execute_wrappers)
    undo()

    assert 1 == len(connection.execute_wrappers)
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert {} == second.statements()
