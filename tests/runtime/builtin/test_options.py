"""Built-in checks from settings: what is wrong names its key and the cure; usual values."""

from typing import Any

import pytest

from checked import check, texts_of
from watchkeeper.exceptions import ConfigurationError
from watchkeeper.runtime.builtin.registry import BUILT_IN, options_of

MARK = "not-a-real-secret"
# The least that each needs, in another order than any table of the code.
NEEDED: dict[str, dict[str, Any]] = {
    "certificate": {"host": "shop.example"},
    "clock": {"url": "postgresql+psycopg://shop@db/shop"},
    "database": {"url": "sqlite:///shop.db"},
    "disk": {},
    "dns": {"host": "shop.example"},
    "http": {"url": "https://pay.example/"},
    "memory": {},
    "migrations": {"django": "default"},
    "queue_depth": {"url": "redis://cache", "list": "mails"},
    "redis": {"url": "redis://cache"},
    "smtp": {"host": "mail.example"},
    "tcp": {"host": "db", "port": 5432},
    "worker_heartbeat": {},
}
WORKER = {"clock", "disk", "memory"}  # what a worker alone can lose
WARNS = {"clock", "migrations"}  # what does not make the service fail


@pytest.mark.parametrize("kind", BUILT_IN)
def test_every_check_has_usual_values(kind: str):
    """One line is enough; each worker looks at what is its own, one at what they share."""
    made = check(kind, **NEEDED[kind])

    assert ("worker" if kind in WORKER else "cluster") == made.scope
    assert (kind not in WARNS) is made.critical
    assert not made.readiness
    assert 1 <= made.timeout_s < made.every_s


@pytest.mark.parametrize("kind", BUILT_IN)
def test_every_check_takes_what_all_take(kind: str):
    """Schedule, time-out, and what it means for the whole."""
    made = check(
        kind, every="2m", timeout="3s", critical=False, readiness=True, scope="worker",
        tags=["shop"], **NEEDED[kind],
    )  # fmt: skip

    assert ("it", 120.0, 3.0, False, True, "worker", ("shop",)) == (
        made.name, made.every_s, made.timeout_s, made.critical, made.readiness, made.scope,
        made.tags,
    )  # fmt: skip


@pytest.mark.parametrize("kind", BUILT_IN)
def test_an_unknown_key_names_the_nearest(kind: str):
    """A slip is not silently left out."""
    for key in options_of(kind):
        slip = f"{key}x"
        with pytest.raises(ConfigurationError) as raised:
            check(kind, **{**NEEDED[kind], slip: "1"})

        assert f"health.checks.it.{slip}: unknown key (did you mean '{key}'?)" in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("smtp", {}, 'host: missing; write host = "mail.example.org"'),
        ("smtp", {"host": "a b"}, "host: not a name or an address"),
        ("smtp", {"host": "mail.example:25"}, "host: a name or an address alone, without a port"),
        ("tcp", {"host": "[::1]:25"}, "host: a name or an address alone, without a port"),
        ("certificate", {"host": "https:"}, "host: a name or an address alone, without a port"),
        ("smtp", {"every": "0s"}, "every: '0s' is too often"),
        ("smtp", {"readiness": "yes"}, "readiness: 'yes' is neither true nor false"),
        ("smtp", {"port": 0}, "port: 0 is not a port; write port = 587"),
        ("smtp", {"security": "ssl"}, "security: 'ssl' is unknown; use one of \"none\""),
        ("smtp", {"security": "none", "username": "a"}, "password: would be sent in the clear"),
        ("smtp", {"password": "a"}, "username: missing"),
        ("smtp", {"certificate_warn": "14"}, "certificate_warn: '14' is not a duration"),
        ("smtp", {"ca_file": 5}, "ca_file: 5 is no text on one line"),
        ("http", {"url": ""}, "url: missing"),
        ("http", {"url": "pay.example"}, "url: is not the address of a web server"),
        ("http", {"method": "DELETE"}, "method: 'DELETE' is unknown; use one of"),
        ("http", {"status": 99}, "status: 99 is none; write status = 200"),
        ("http", {"status": True}, "status: True is none"),
        ("http", {"status": "6xx"}, "status: '6xx' is none"),
        ("http", {"status": []}, "status: write 1 to 20 of them"),
        ("http", {"json": "ok"}, "json: must be a table; write json ="),
        ("http", {"headers": {"Host": "x"}}, "headers.Host: cannot be set"),
        ("http", {"headers": {"X-A": "1\r\nX-B: 2"}}, "headers.X-A: must be a text"),
        ("http", {"headers": {"X A": "1"}}, "headers.X A: cannot be set"),
        ("http", {"body": "x"}, "body: only a POST has one"),
        ("http", {"redirects": 9}, "redirects: 9 is no number from 0 to 5"),
        ("http", {"method": "POST", "redirects": 1}, "redirects: a POST follows none"),
        ("http", {"warn_after": "0s"}, "warn_after: '0s' is too short"),
        ("redis", {"url": "cache:6379"}, "url: not a URL of Redis; write url ="),
        ("redis", {"url": "redis://cache/x"}, "url: not a URL of Redis"),
        ("redis", {"url": None}, "url: missing"),
        ("redis", {"url": "redis://cache/0?timeout=1"}, "url: nothing may follow a ?; write"),
        ("redis", {"url": "unix:///run/redis.sock"}, "url: Redis is asked by TCP, not by"),
        ("tcp", {"port": None}, "port: missing; write port = 5432"),
        ("tcp", {"tls": "yes"}, "tls: 'yes' is neither true nor false"),
        ("dns", {"host": "a..b"}, "host: not a name; write host ="),
        ("dns", {"record": "MX"}, "record: 'MX' is unknown"),
        ("dns", {"server": "resolver"}, "server: 'resolver' is no address"),
        ("dns", {"server": "10.0.0.2:x"}, "server: '10.0.0.2:x' is no address"),
        ("dns", {"expect": "shop"}, "expect: 'shop' is no address"),
        ("disk", {"warn_free": "10"}, "warn_free: '10' is neither a share nor a size"),
        ("disk", {"fail_free": "20%"}, "fail_free: 20% is above warn_free, 10%"),
        ("disk", {"path": ""}, "path: missing"),
        ("memory", {"warn": "98%"}, "fail: 97% is below warn, 98%"),
        ("memory", {"warn": "9"}, "warn: '9' is not a share"),
        ("certificate", {"warn": "soon"}, "warn: 'soon' is not a duration"),
        ("certificate", {"warn": "1d"}, "fail: 3d is longer than warn, 1d"),
        ("clock", {"fail": "1s"}, "fail: 1s is below warn, 2s"),
        ("clock", {"url": "sqlite:///a.db"}, "url: a SQLite file has no clock of its own"),
        ("clock", {"url": None}, "url: missing"),
        ("queue_depth", {"list": None}, "list: give one of list, rq, celery, query"),
        ("queue_depth", {"rq": "mails"}, "list: give one of list, rq, celery, query"),
        ("queue_depth", {"warn_above": -1}, "warn_above: -1 is no number"),
        ("queue_depth", {"fail_above": 5}, "fail_above: 5 is below warn_above, 100"),
        ("migrations", {"alembic": "a.ini"}, "django: give one of them"),
        ("migrations", {"url": "sqlite://"}, "url: Django knows its own"),
        ("worker_heartbeat", {"at_least": 0}, "at_least: 0 is no number from 1"),
        ("database", {"url": 5}, "url: int is neither a URL nor an Engine"),
        ("tcp", {"every": "5"}, "every: '5' is not a duration"),
        ("tcp", {"critical": "no"}, "critical"),
        ("tcp", {"scope": "host"}, "scope"),
        ("tcp", {"tags": 5}, "tags: must be a text, or a list"),
    ],
)
def test_a_wrong_value_names_the_key_and_the_cure(
    kind: str, options: dict[str, Any], message: str
):
    """The place in the file, what is wrong, and what to write."""
    given = {} if options == {} else {**NEEDED[kind], **options}

    with pytest.raises(ConfigurationError) as raised:
        check(kind, **given)

    assert f"health.checks.it.{message}" in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("http", {"url": f"https://a:{MARK}@pay.example:x/{MARK}"}),
        ("http", {"url": f"https://pay.example/\t{MARK}"}),
        ("http", {"headers": {"X-Key": f"{MARK}\n"}}),
        ("http", {"body": f"{MARK}\n", "method": "POST"}),
        ("redis", {"url": f"redis://:{MARK}@cache:x/0"}),
        ("redis", {"url": f"cache:{MARK}"}),
        ("smtp", {"username": "shop", "password": f"{MARK}\n"}),
        ("database", {"url": f"shop:{MARK}@db"}),
        ("clock", {"url": f"sqlite:///{MARK}"}),
    ],
)
def test_a_wrong_value_that_may_be_secret_is_not_shown(kind: str, options: dict[str, Any]):
    """The message is written into logs."""
    with pytest.raises(ConfigurationError) as raised:
        check(kind, **{**NEEDED[kind], **options})

    assert MARK not in str(raised.value)


def test_a_type_that_is_none_names_the_nearest():
    """Or all there are."""
    with pytest.raises(ConfigurationError, match='write type = "queue_depth"'):
        check("queue-depth")
    with pytest.raises(ConfigurationError, match="use one of certificate, clock, database"):
        check("oracle")


def test_a_check_does_not_show_what_it_was_given(closed_port: int):
    """Neither before nor after it ran."""
    for kind, options in {
        "redis": {"url": f"redis://shop:{MARK}@127.0.0.1:{closed_port}/0"},
        "http": {"url": f"http://shop:{MARK}@127.0.0.1:{closed_port}/{MARK}"},
        "smtp": {"host": "127.0.0.1", "port": closed_port, "username": MARK, "password": MARK},
        "database": {"url": f"postgresql+psycopg://shop:{MARK}@127.0.0.1:{closed_port}/shop"},
        "clock": {"url": f"mysql+pymysql://shop:{MARK}@127.0.0.1:{closed_port}/shop"},
        "queue_depth": {
            "url": f"postgresql+asyncpg://shop:{MARK}@127.0.0.1:{closed_port}/shop",
            "query": "SELECT 1",
        },
    }.items():
        shown = texts_of(check(kind, **options))

        assert "fail" in shown
        assert MARK not in shown
