"""Databases past the store: as earlier versions left them, and as SQL clients see them."""

from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine

FOLDER = Path(__file__).with_name("storage")
DRIVERS = {"postgresql:": "postgresql+psycopg:", "mysql:": "mysql+pymysql:"}

DATA = """
INSERT INTO wk_meta VALUES ('schema', '{version}');
INSERT INTO wk_meta VALUES ('installed_at', '1700000000.5');
INSERT INTO wk_issue VALUES
(7, 'shop', 'production', 'v1', '1:00000000000000aa', 'KeyError', 'KeyError: sku',
'shop.orders:place', 'error', 'open', 3, 10.0, 20.0, 'v1');
INSERT INTO wk_issue_alias VALUES ('shop', 'production', '1:00000000000000aa', 7);
INSERT INTO wk_incident VALUES
(3, 'shop', 'production', 'Slow', '', 'warning', 'firing', 10.0, 20.0, NULL, 2.0, 2.0, '', '{{}}');
INSERT INTO wk_outbox VALUES
(4, 'a4', 3, 'firing', 0, 'mail', '{{}}', 'due', 0, 20.0, 20.0, '', 0.0, '', NULL);
INSERT INTO wk_worker VALUES
(1, 'shop', 'production', 'v1', 'web-1', 1, 11, 7200.0, 7300.0, 7300.0),
(2, 'shop', 'production', 'v1', 'web-2', 2, 12, 7100.0, 7190.0, NULL),
(3, 'shop', 'production', 'v2', 'web-1', 1, 13, 9000.0, 9100.0, NULL),
(4, 'shop', 'production', '', 'web-1', 3, 14, 9000.0, 9100.0, NULL);
"""
# A minute frame that counts three orders, as the first versions packed it.
FRAME = "01789c636064606060650091cc0c70c0c2800fb0a012c402000803001b"
FRAMES = """
INSERT INTO wk_series VALUES (5, '000000000000000000000000000000a5', 'orders_total', 'counter',
'sum', '[["environment","production"],["release","v1"],["service","shop"]]', 7200, 7200);
INSERT INTO wk_frame VALUES (60, 7260, 0, 0, 0, 0, 1, {frame});
"""
# The rows above have ids of their own: the next ones come after them.
IDS = """
SELECT setval('wk_worker_id_seq', 4);
SELECT setval('wk_series_id_seq', 5);
SELECT setval('wk_issue_id_seq', 7);
SELECT setval('wk_incident_id_seq', 3);
SELECT setval('wk_outbox_id_seq', 4);
"""


def engine_of(url: str) -> Engine:
    """Connect to a database without the store."""
    for scheme, driver in DRIVERS.items():
        url = url.replace(scheme, driver)
    return create_engine(url)


def execute(url: str, script: str) -> None:
    """Run a script of statements against a database, without the store."""
    engine = engine_of(url)
    with engine.begin() as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()


def pasted(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement as a SQL client does, past SQLAlchemy; its rows."""
    engine = engine_of(url)
    with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(statement.strip().removesuffix(";"))
        rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        connection.commit()
    engine.dispose()
    return rows


def make_earlier(url: str, version: int) -> None:
    """Make the tables of an earlier version in an empty database, with data in them."""
    kind = "mariadb" if url.startswith("m") else url.partition(":")[0]
    first = 3 if kind == "mariadb" else 1
    payload = f"decode('{FRAME}', 'hex')" if kind == "postgresql" else f"X'{FRAME}'"
    for step in range(first, version + 1):
        tables = (FOLDER / f"schema_{step}_{kind}.sql").read_text("utf-8")
        comment, _, tables = tables.partition("\n")
        assert comment.startswith("--")
        execute(url, tables)
        if step == first:
            execute(url, DATA.format(version=first) + FRAMES.format(frame=payload))
            if kind == "postgresql":
                execute(url, IDS)
