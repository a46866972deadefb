"""A real application that puts secrets wherever it can: none of them is written or sent."""

import json
import sqlite3
import time
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from kept import run
from processes import Server, get, until, uvicorn
from receivers import Receiver

from watchkeeper.storage.spool import folders

# Each holds the sign by which it would be found; none of them opens anything.
SECRETS = {
    "url": "postgresql://ann:{}@db.example/shop",
    "query": "https://shop.example/pay?order=7&token={}&x=1",
    "bearer": "Authorization: Bearer {}",
    "cookie": "Cookie: lang={}",
    "json": '{{"user": "ann", "password": "{}", "id": 7}}',
    "nested": '"body": "{{\\"api_key\\": \\"{}\\"}}"',
    "repr": "Login(name='ann', password='{}')",
    "dsn": "Server=db;Uid=sa;PWD={};Timeout=5",
    "encoded": "user%3Dann%26password%3D{}%26x",
    "jwt": "eyJ{}.eyJzdWIiOiJhbm4ifQ.bm90LXJlYWw",
    "aws": "use AKIA{} for it",
    "github": "push with ghp_{} to it",
    "pem": "-----BEGIN PRIVATE KEY----- {} -----END PRIVATE KEY-----",
    "webhook": "https://hooks.example/services/{}/x",
    "pydantic": (
        "1 validation error for Login\npassword\n  String should have at least 32 characters "
        "[type=string_too_short, input_value='{}', input_type=str]"
    ),
    "pydantic_described": (
        "[{{'loc': ('body', 'password'), 'msg': 'Too short', 'input': '{}', 'url': 'x'}}]"
    ),
    "statement": "INSERT INTO users VALUES ('ann', '{}')",
    "hash": "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ${}",
    "multipart": 'name="password"; a\\r\\n\\r\\n{}\\r\\n--b',
}
CARD = "4111 1111 1111 1111"
PLANTED = {kind: f"PLANTEDX{number:02}ABCDEF" for number, kind in enumerate(SECRETS)}
TEXTS = {kind: form.format(PLANTED[kind]) for kind, form in SECRETS.items()}
SIGNS = (b"PLANTEDX", CARD.encode(), CARD.replace(" ", "").encode())
PLANTED["card"] = CARD.replace(" ", "")
# What Python's faulthandler leaves of a process; a host's library may say why it aborts.
CRASH = """Fatal Python error: login failed: token=PLANTEDX80ABCDEF

Current thread 0x00007f0000000000 (most recent call first):
  File "/srv/ghp_PLANTEDX81ABCDEF/shop.py", line 7 in pay
"""
TEXTS["card"] = f"2026-01-01 12:01:02 order 17 paid {CARD} 12/29 123"

APP = '''
import asyncio, json, logging, os
import httpx, sqlalchemy
from fastapi import FastAPI, Request
import watchkeeper

TEXTS = json.load(open("texts.json"))
PLANTED = json.load(open("planted.json"))
logging.getLogger("watchkeeper").addHandler(logging.FileHandler("watchkeeper.log"))
engine = sqlalchemy.create_engine("sqlite:///shop.db")
with engine.begin() as connection:
    connection.execute(sqlalchemy.text("CREATE TABLE IF NOT EXISTS users (token TEXT UNIQUE)"))
app = FastAPI()
paid = watchkeeper.counter("paid_total", "Paid.", labels=["note", "api_key"])

def look(item):
    with open("seen.jsonl", "a") as seen:
        seen.write(json.dumps(item) + "\\n")
    if "raise" in json.dumps(item["data"].get("tags", {})):
        raise ValueError(TEXTS["url"], TEXTS["json"])
    return item

@app.get("/message/{kind}")
def message(kind: str):
    error = ValueError("cannot: " + TEXTS[kind])
    error.add_note("note: " + TEXTS[kind])
    raise error from KeyError(TEXTS[kind])

@app.get("/group/{kind}")
def group(kind: str):
    raise ExceptionGroup(TEXTS[kind], [ValueError(TEXTS[kind]), KeyError(TEXTS[kind])])

@app.get("/context/{kind}")
def context(kind: str):
    watchkeeper.capture_exception(
        ValueError("context " + kind), text=TEXTS[kind], api_key=PLANTED[kind],
        headers=[(b"cookie", PLANTED[kind].encode())], cookies={"lang": PLANTED[kind]},
        pair=("password", PLANTED[kind]), deep={"a": [TEXTS[kind]]}, fingerprint=[TEXTS[kind]],
    )

@app.get("/tags/{kind}")
def tags(kind: str, request: Request):
    watchkeeper.tag(note=TEXTS[kind], api_key=PLANTED[kind], way="raise" if kind == "url" else "")
    watchkeeper.set_user(TEXTS[kind])
    raise ValueError("tags " + kind)

@app.get("/inside/{kind}")
def inside(kind: str):
    paid.inc(note=TEXTS[kind], api_key=PLANTED[kind])
    with watchkeeper.span("pay " + TEXTS[kind]):
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(f"SELECT '{PLANTED[kind]}' AS a"))
    with watchkeeper.job("import " + TEXTS[kind][:150]):
        raise ValueError("job " + TEXTS[kind])

@app.get("/sql/{kind}")
def sql(kind: str):
    for _ in range(2):
        with engine.begin() as connection:
            connection.execute(
                sqlalchemy.text("INSERT INTO users (token) VALUES (:token)"),
                {"token": PLANTED[kind]},
            )

@app.get("/calls/{kind}")
def calls(kind: str):
    port = os.environ["RECEIVER_PORT"]
    httpx.get(f"http://ann:{PLANTED[kind]}@127.0.0.1:{port}/?token={PLANTED[kind]}")
    httpx.get(f"http://ann:{PLANTED[kind]}@127.0.0.1:1/?token={PLANTED[kind]}")

@app.get("/log/{kind}")
def log(kind: str):
    try:
        raise ValueError(TEXTS[kind])
    except ValueError:
        logging.getLogger("shop").exception("failed: %s", TEXTS[kind])
    logging.getLogger("shop").error(
        "again: %r with %s", {"pin": PLANTED[kind]}, TEXTS[kind], extra={"note": TEXTS[kind]}
    )

@app.get("/source/{kind}")
def source(kind: str):
    password = "PLANTEDX90ABCDEF"
    settings = {"user": "ann", "api_key": "PLANTEDX91ABCDEF"}
    dsn = os.environ.get("DSN") or b"PLANTEDX92ABCDEF"
    if password == "PLANTEDX93ABCDEF" or connect("postgresql://ann:PLANTEDX94ABCDEF@db/"):
        return
    raise ValueError("source")

def connect(url, password="PLANTEDX95ABCDEF"):
    token: str = """
    PLANTEDX96ABCDEF"""
    raise ValueError("in connect")

for kind in TEXTS:
    @watchkeeper.health_check("check-" + kind, every="1s")
    def check(kind=kind):
        raise RuntimeError(TEXTS[kind])
'''
WATCH = """
watchkeeper.watch(app, watchkeeper.Settings(
    database_url=os.environ.get("DATABASE", "watchkeeper.db"), slot="1s", flush_jitter="0s",
    service="shop", environment="test", open_access=True, before_store=look, spool="spool",
    channels={
        "there": {"type": "webhook", "url": os.environ["THERE"]},
        "away": {"type": "webhook", "url": os.environ["AWAY"]},
    },
))
"""
WAYS = ("message", "group", "context", "tags", "inside", "sql", "calls", "log")
PAGES = (
    "overview routes statements outgoing pools jobs samples releases audit self series".split()  # noqa: SIM905
)


def leaks(*places: tuple[str, bytes]) -> list[tuple[str, str]]:
    """Return which secrets are found, and where."""
    return [
        (name, content[at : at + 19].decode("ascii", "replace"))
        for name, content in places
        for sign in SIGNS
        if (at := content.find(sign)) >= 0
    ]


def opened(content: bytes) -> bytes:
    """Return bytes with all that is compressed within them beside it."""
    parts = [content]
    at = content.find(b"\x78")
    while at >= 0:
        with suppress(zlib.error):
            parts.append(zlib.decompressobj().decompress(content[at:]))
        at = content.find(b"\x78", at + 1)
    return b"\n".join(parts)


def rows(file: Path) -> Iterator[tuple[str, bytes]]:
    """Return the content of every table, and of the file itself with its log."""
    for one in file.parent.glob(file.name + "*"):
        yield one.name, one.read_bytes()
    with sqlite3.connect(file) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
        for table in tables:
            with suppress(sqlite3.OperationalError):  # an index has no rows
                for row in connection.execute(f'SELECT * FROM "{table}"'):
                    for cell in row:
                        told = cell if isinstance(cell, bytes) else str(cell).encode()
                        yield table, opened(told)


def ask(server: Server, path: str, kind: str) -> None:
    """Request a page as a browser with cookies, headers and a query would."""
    secret = PLANTED[kind]
    request = urllib.request.Request(
        f"{server.url}{path}?token={secret}&password={secret}",
        headers={
            "Cookie": f"lang={secret}",
            "Authorization": f"Bearer {secret}",
            "X-Api-Key": secret,
            "X-Forwarded-For": secret,
            "X-Request-ID": f"ghp_{secret}",
            "User-Agent": f"curl token={secret}",
            "Referer": f"https://shop.example/?token={secret}",
        },
    )
    with suppress(OSError), urllib.request.urlopen(request, timeout=20) as answer:
        answer.read()


def environ(receiver: Receiver, **more: str) -> dict[str, str]:
    """Return what the application is started with: channels that are there, and away."""
    secret = PLANTED["webhook"]
    there = receiver.url.replace("/hook", f"/hook?token={secret}")
    return {
        "RECEIVER_PORT": str(receiver.port),
        "THERE": there,
        "AWAY": f"http://ann:{secret}@127.0.0.1:1/services/{secret}",
        **more,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the application in it, the secrets in its source too."""
    (tmp_path / "shop.py").write_text(APP + WATCH, "utf-8")
    (tmp_path / "texts.json").write_text(json.dumps(TEXTS), "utf-8")
    (tmp_path / "planted.json").write_text(json.dumps(PLANTED), "utf-8")
    (tmp_path / "spool").mkdir()
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_no_planted_secret_is_written_sent_or_shown(folder: Path):
    """Database, messages, JSON, command line, log: whatever way a secret took, it is masked."""
    leave_crash(folder)
    stored = {"in", "connect", "again", "login"}  # of each way that is seen to its end
    with Receiver() as receiver:
        receiver.answer(500)
        with uvicorn(
            "shop:app", folder=folder, environ=environ(receiver), ready="/watchkeeper/livez"
        ) as server:
            for kind in TEXTS:
                for way in WAYS:
                    ask(server, f"/{way}/{kind}", kind)
            ask(server, "/source/url", "url")
            database = folder / "watchkeeper.db"
            assert until(lambda: stored <= told(database)), told(database)
            assert until(lambda: receiver.received), "nobody was told"
            pages = [get(f"{server.url}/watchkeeper/api/v1/{page}.json")[2] for page in PAGES]
            shown = [get(f"{server.url}/watchkeeper{path}")[2] for path in ("/", "/live")]
            health = get(f"{server.url}/watchkeeper/health")[2]
            time.sleep(1.5)  # a slot more
        sent = [one.body for one in receiver.received]
    kinds = ("requests", "hours", "issues", "events", "samples", "incidents")
    of_shop = ("--service", "shop", "--environment", "test", "--format", "jsonl")
    for kind in kinds:
        run("export", kind, *of_shop, "--output", f"{kind}.jsonl", folder=folder)
    exported = [(folder / f"{kind}.jsonl").read_bytes() for kind in kinds]
    status = run("status", "--service", "shop", folder=folder)

    logged = [row for row in exported[3].splitlines() if b"again: " in row]

    assert b"[masked]" in b"".join(exported)
    assert any(b"'pin': [masked]" in row for row in logged), logged
    assert len(exported[2].splitlines()) > 20
    assert [] == leaks(*rows(database))
    assert [] == leaks(*((page, content) for page, content in zip(PAGES, pages, strict=True)))
    assert [] == leaks(*(("page", content) for content in [*shown, health]))
    assert [] == leaks(*(("notification", body) for body in sent))
    assert [] == leaks(*zip(kinds, exported, strict=True))
    assert [] == leaks(("status", (status.stdout + status.stderr).encode()))
    assert [] == leaks(("log", (folder / "watchkeeper.log").read_bytes()))
    assert [] == leaks(("before_store", (folder / "seen.jsonl").read_bytes()))
    assert "before_store failed" in (folder / "watchkeeper.log").read_text()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_no_planted_secret_is_spooled(folder: Path):
    """What waits in a file for a database that is away is masked, and so is its address."""
    away = f"postgresql+psycopg://ann:{PLANTED['url']}@127.0.0.1:1/shop"
    with Receiver() as receiver:
        with uvicorn(
            "shop:app",
            folder=folder,
            environ=environ(receiver, DATABASE=away),
            ready="/watchkeeper/livez",
        ) as server:
            for kind in TEXTS:
                for way in ("message", "inside", "context"):
                    ask(server, f"/{way}/{kind}", kind)
            log = folder / "watchkeeper.log"
            assert until(lambda: "unreachable" in log.read_text())
        spooled = [path for path in (folder / "spool").rglob("*") if path.is_file()]

    assert spooled
    assert [] == leaks(*((path.name, opened(path.read_bytes())) for path in spooled))
    assert [] == leaks(("log", log.read_bytes()))


def leave_crash(folder: Path) -> None:
    """Leave the file of a process that crashed where the next one looks for it."""
    (place,) = folders(
        "spool",
        database_url="sqlite:///watchkeeper.db",
        service="shop",
        environment="test",
        environ={},
        directory=str(folder),
    )
    place.mkdir(mode=0o700)
    (place / "0000000001-00.crash").write_text(CRASH, "utf-8")


def told(database: Path) -> set[str]:
    """Return the words of the titles of the stored issues."""
    if not database.exists():
        return set()
    with suppress(sqlite3.OperationalError), sqlite3.connect(database) as connection:
        titles = [title for (title,) in connection.execute("SELECT title FROM wk_issue")]
        return set(" ".join(titles).replace(":", "").split())
    return set()
