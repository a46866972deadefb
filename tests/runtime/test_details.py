"""What real exceptions of frameworks, drivers and clients tell of themselves."""

import email.message
import errno
import socket
import sqlite3
import urllib.error

import httpx
import psycopg
import pytest
import sqlalchemy.exc
import starlette.exceptions
import starlette.requests
import starlette.websockets
import werkzeug.exceptions
from fastapi.exceptions import RequestValidationError

from watchkeeper.runtime.details import detail, is_expected, may_be_expected, may_have_detail


def answered(status: int) -> httpx.HTTPStatusError:
    """Return what an HTTP client raises for an answer."""
    request = httpx.Request("GET", "http://127.0.0.1/")
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(status))


@pytest.mark.parametrize(
    "exc",
    [
        starlette.exceptions.HTTPException(404),
        starlette.requests.ClientDisconnect(),
        starlette.websockets.WebSocketDisconnect(1001),
        werkzeug.exceptions.NotFound(),
        werkzeug.exceptions.BadRequestKeyError("a"),
        RequestValidationError([]),
        ExceptionGroup("g", [starlette.exceptions.HTTPException(403)]),
        SystemExit(None),
    ],
    ids=repr,
)
def test_what_frameworks_raise_on_purpose_is_expected(exc: BaseException):
    """Not found, forbidden, invalid, disconnected: the client's doing."""
    assert is_expected(exc)
    assert may_be_expected(type(exc))


@pytest.mark.parametrize(
    "exc",
    [
        starlette.exceptions.HTTPException(503),
        werkzeug.exceptions.InternalServerError(),
        answered(404),
        SystemExit("no configuration"),
        ConnectionResetError(),
        ValueError(),
    ],
    ids=repr,
)
def test_what_the_application_did_wrong_is_not(exc: BaseException):
    """Answers of 500 and above, and every answer that was received from elsewhere."""
    assert not is_expected(exc)


class StatusTextError(Exception):
    """Carries its status as text, as some frameworks do."""

    status = "404 Not Found"

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@pytest.mark.parametrize(
    ("expected", "exc"),
    [
        ("status 404", answered(404)),
        ("status 503", starlette.exceptions.HTTPException(503)),
        (
            "status 502",
            urllib.error.HTTPError("http://127.0.0.1/", 502, "no", email.message.Message(), None),
        ),
        ("status 404", StatusTextError("404 Not Found")),
        ("", StatusTextError("broken")),
        ("ENOSPC", OSError(errno.ENOSPC, "full")),
        ("-2", socket.gaierror(-2, "unknown host")),
        ("", OSError("no number")),
        ("", ValueError("42")),
        ("23505", psycopg.errors.UniqueViolation("duplicate key")),
        ("23505", sqlalchemy.exc.IntegrityError("", {}, psycopg.errors.UniqueViolation("x"))),
        ("users.email", sqlite3.IntegrityError("UNIQUE constraint failed: users.email")),
        ("users", sqlite3.OperationalError("no such table: users")),
        ("near FORM", sqlite3.OperationalError('near "FORM": syntax error')),
        ("", sqlite3.OperationalError("unrecognized token: 'hunter2'")),
        ("", sqlalchemy.exc.InvalidRequestError("closed")),
    ],
    ids=repr,
)
def test_the_part_of_an_error_that_counts(expected: str, exc: BaseException):
    """A status, an errno or a constraint separates errors of one place; values never do."""
    assert expected == detail(exc)


def test_types_tell_whether_they_have_details():
    """Only operating system and database errors are asked each time."""
    assert may_have_detail(ConnectionRefusedError)
    assert may_have_detail(sqlite3.IntegrityError)
    assert not may_have_detail(KeyError)
