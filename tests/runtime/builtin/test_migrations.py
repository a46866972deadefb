"""The built-in check of migrations, against a real Django project and a real Alembic one."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from checked import check, found, states, told
from watchkeeper.core.health import CheckState

ROOT = Path(__file__).parents[3]

DJANGO = """
    import sys
    from pathlib import Path
    import django
    from django.conf import settings
    folder = Path(sys.argv[1])
    settings.configure(
        INSTALLED_APPS=["shop"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "db"}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    django.setup()
    from django.core.management import call_command
    from django.db import connections
    from checked import check, states, told
    for target in ("zero", "0001", "0002"):
        call_command("migrate", "shop", target, verbosity=0)
        print(told("migrations", django="default"))
    connections.close_all()
    second = (folder / "shop/migrations/0002_count.py").read_text()
    third = second.replace('"count"', '"price"').replace("0001_first", "0002_count")
    (folder / "shop/migrations/0003_price.py").write_text(third)
    import importlib
    importlib.invalidate_caches()
    print(told("migrations", django="default"))
    print(told("migrations", django="other"))
    print(sorted(states(check("migrations", django="default"))))
    print(sorted(connections.databases), hasattr(connections._connections, "other"))
"""
MODELS = """
    from django.db import models
    class Order(models.Model):
        count = models.IntegerField(default=0)
        price = models.IntegerField(default=0)
"""
FIRST = """
    from django.db import migrations, models
    class Migration(migrations.Migration):
        initial = True
        fields = [("id", models.AutoField(primary_key=True))]
        operations = [migrations.CreateModel("Order", fields)]
"""
COUNT = """
    from django.db import migrations, models
    class Migration(migrations.Migration):
        dependencies = [("shop", "0001_first")]
        operations = [migrations.AddField("Order", "count", models.IntegerField(default=0))]
"""


def write(path: Path, content: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(content))


def test_djangos_migrations_that_are_not_applied_are_told(tmp_path: Path):
    """By their names, in a project with a database that is behind, level, and behind again."""
    write(tmp_path / "shop/__init__.py")
    write(tmp_path / "shop/models.py", MODELS)
    write(tmp_path / "shop/migrations/__init__.py")
    write(tmp_path / "shop/migrations/0001_first.py", FIRST)
    write(tmp_path / "shop/migrations/0002_count.py", COUNT)

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(DJANGO), tmp_path],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert [
        "('fail', '2 not applied: shop.0001_first, shop.0002_count')",
        "('fail', '1 not applied: shop.0002_count')",
        "('pass', '')",
        "('fail', '1 not applied: shop.0003_price')",
        """('fail', "Django has no database 'other'")""",
        "[<CheckState.FAIL: 'fail'>]",
        "['default'] False",
    ] == done.stdout.splitlines(), done.stderr


def revision(folder: Path, number: str, before: str | None) -> None:
    write(
        folder / f"versions/{number}.py",
        f"""
        revision = {number!r}
        down_revision = {before!r}
        def upgrade(): pass
        def downgrade(): pass
        """,
    )


@pytest.fixture
def alembic(tmp_path: Path) -> Path:
    """An environment of Alembic with three revisions and a SQLite file; its alembic.ini."""
    write(
        tmp_path / "alembic.ini",
        f"""
        [alembic]
        script_location = {tmp_path / "scripts"}
        sqlalchemy.url = sqlite:///{tmp_path / "shop.db"}
        """,
    )
    write(
        tmp_path / "scripts/env.py",
        """
        from alembic import context
        from sqlalchemy import create_engine
        engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
        with engine.connect() as connection:
            context.configure(connection=connection)
            with context.begin_transaction():
                context.run_migrations()
        engine.dispose()
        """,
    )
    for number, before in (("a1", None), ("b2", "a1"), ("c3", "b2")):
        revision(tmp_path / "scripts", number, before)
    (tmp_path / "shop.db").touch()
    return tmp_path / "alembic.ini"


def upgrade(ini: Path, to: str) -> None:
    from alembic.command import upgrade
    from alembic.config import Config

    upgrade(Config(str(ini)), to)


def test_alembics_revisions_that_are_not_applied_are_told(alembic: Path):
    """From none to all of them, and of branches as well."""
    assert ("fail", "3 not applied: a1, b2, c3") == told("migrations", alembic=str(alembic))
    upgrade(alembic, "b2")
    one = found("migrations", alembic=str(alembic))
    assert ("fail", "1 not applied: c3") == (one.state.value, one.output)
    assert (1.0, "migrations") == (one.value, one.unit)
    upgrade(alembic, "head")
    assert ("pass", "") == told("migrations", alembic=str(alembic))
    revision(alembic.parent / "scripts", "d4", "b2")
    assert ("fail", "1 not applied: d4") == told("migrations", alembic=str(alembic))
    upgrade(alembic, "heads")
    assert ("pass", "") == told("migrations", alembic=str(alembic))


def test_a_database_ahead_of_the_code_is_a_warning(alembic: Path):
    """After a release was taken back, the database may know more than the code."""
    upgrade(alembic, "head")
    (alembic.parent / "scripts/versions/c3.py").unlink()

    assert ("warn", "the database is at a revision that this code does not have") == told(
        "migrations", alembic=str(alembic)
    )


def test_another_database_and_table_may_be_named(alembic: Path, tmp_path: Path):
    """As where env.py takes its URL from the environment."""
    other = tmp_path / "other.db"
    engine = create_engine(f"sqlite:///{other}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE revisions (version_num TEXT)")
        connection.exec_driver_sql("INSERT INTO revisions VALUES ('b2')")
    engine.dispose()

    assert ("fail", "1 not applied: c3") == told(
        "migrations", alembic=str(alembic), url=f"sqlite:///{other}", version_table="revisions"
    )


def test_what_is_not_there_is_told(alembic: Path, tmp_path: Path):
    """Each in plain words."""
    assert ("fail", f"{tmp_path}/no.ini is not there") == told(
        "migrations", alembic=f"{tmp_path}/no.ini"
    )
    write(tmp_path / "bare.ini", "[alembic]\nscript_location = nowhere\n")
    state, words = told("migrations", alembic=f"{tmp_path}/bare.ini")
    assert "fail" == state
    assert "nowhere" in words
    write(tmp_path / "bare.ini", f"[alembic]\nscript_location = {tmp_path}/scripts\n")
    assert (
        "fail", f"{tmp_path}/bare.ini has no sqlalchemy.url; write url = … in the check"
    ) == told("migrations", alembic=f"{tmp_path}/bare.ini")  # fmt: skip


def test_nothing_is_left_of_many_runs(alembic: Path):
    """The check reads only, and closes what it opened."""
    assert {CheckState.FAIL} == states(check("migrations", alembic=str(alembic)))
    upgrade(alembic, "head")
    assert {CheckState.PASS} == states(check("migrations", alembic=str(alembic)))
