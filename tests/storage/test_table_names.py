"""Where the tables are, and what they are called, as the user wishes."""

import pytest
from sqlalchemy import create_engine, inspect
from stored import HERE, SHOP, batch, counted, event, frame, sample

from watchkeeper.exceptions import ConfigurationError
from watchkeeper.settings import Settings
from watchkeeper.storage import Store, open_store
from watchkeeper.storage.store import Written

DAY = 86_400.0
DRIVERS = {"postgresql:": "postgresql+psycopg:", "mysql:": "mysql+pymysql:"}


def names(url: str, schema: str | None = None) -> dict[str, list[str]]:
    """List the tables of a database with the indexes of each."""
    for scheme, driver in DRIVERS.items():
        url = url.replace(scheme, driver)
    engine = create_engine(url)
    found = inspect(engine)
    tables = {
        table: [str(one["name"]) for one in found.get_indexes(table, schema=schema)]
        for table in found.get_table_names(schema=schema)
        if not table.startswith("sqlite_")
    }
    engine.dispose()
    return tables


def use(store: Store) -> None:
    """Write, read, roll on and prune as a worker does, and see that it all works."""
    store.migrate()
    store.migrate()
    store.prepare(at=10 * DAY)
    worker = store.register(SHOP, host="web", pid=1, at=10 * DAY)
    flush = batch(
        frame(int(10 * DAY), worker.id),
        issues=[counted(at=10 * DAY)],
        events=[event(1, at=10 * DAY)],
        samples=[sample(1, at=10 * DAY)],
    )

    assert Written.STORED == store.write(flush)
    assert Written.DUPLICATE == store.write(flush)
    assert 1 == len(store.frames(10, since=0, until=11 * DAY, **HERE))
    assert store.acquire("roll-up", owner="me", ttl_s=9) is not None
    assert store.size_bytes() > 0
    assert 1 == store.prune_frames(10, before=12 * DAY, limit=9)
    assert 1 == store.prune_events(before=12 * DAY, limit=9)
    assert 1 == store.prune_counts(before=12 * DAY, limit=9)
    assert 1 == store.prune_samples(before=12 * DAY, most=9, limit=9)


def test_names_begin_with_the_prefix_that_was_set(sql_url: str):
    """Two installations live in one database, apart by their prefixes."""
    ours = open_store(sql_url)
    others = open_store(sql_url, prefix="mon_")
    use(ours)
    use(others)
    ours.close()
    others.close()

    found = names(sql_url)

    assert {"wk_", "mon_"} == {f"{name.partition('_')[0]}_" for name in found}
    for name in (name for name in found if name.startswith("mon_")):
        assert f"wk_{name.removeprefix('mon_')}" in found
        assert not [one for one in found[name] if "wk_" in one]


@pytest.mark.parametrize("sql_url", ["postgresql"], indirect=True)
def test_tables_live_in_the_schema_that_was_set(sql_url: str):
    """A schema of its own keeps the tables apart from the application's; it is made if need be."""
    store = open_store(sql_url, schema="monitoring")
    use(store)
    store.close()

    assert {} == names(sql_url)
    assert "wk_frame" in names(sql_url, "monitoring")


def test_other_databases_have_no_schemas(sqlite_url: str):
    """What cannot be is told, with what to do instead."""
    with pytest.raises(ConfigurationError, match="database_schema: sqlite has none"):
        open_store(sqlite_url, schema="monitoring")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("table_prefix", ""),
        ("table_prefix", "wk-"),
        ("table_prefix", "a_prefix_that_is_too_long_"),
        ("database_schema", 'public"; DROP TABLE wk_meta'),
    ],
)
def test_a_name_that_no_table_can_have_is_refused(name: str, value: str):
    """Nothing but plain names gets into a statement."""
    with pytest.raises(ConfigurationError, match=f"^{name}: "):
        Settings(**{name: value})  # type: ignore[arg-type]
