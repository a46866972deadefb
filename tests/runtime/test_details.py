"""What real exceptions of frameworks, drivers and clients tell of themselves."""

import email.message
import errno
import socket
import sqlite3
import urllib.error
from types import SimpleNamespace

import django.db
import httpx
import psycopg
import pymysql
import pytest
import sqlalchemy.exc
import starlette.exceptions
import starlette.requests
import starlette.websockets
import werkzeug.exceptions
from celery.exceptions import Ignore, Reject, Retry
from fastapi.exceptions import RequestValidationError

from watchkeeper.runtime.details import (
    detail,
    first_detail,
    is_expected,
    may_be_expected,
    may_have_detail,
)


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
        *(kind() for kind in (Ignore, Reject, Retry)),
    ],
    ids=repr,
)
def test_what_frameworks_raise_on_purpose_is_expected(exc: BaseException):
    """Not found, invalid, disconnected: the client's doing; a task that is not to be."""
    assert is_expected(exc)
    assert may_be_expected(type(exc))


@pytest.mark.parametrize(
    "exc",
    [
        starlette.exceptions.HTTPException(503),
        werkzeug.exceptions.InternalServerError(),
        answered(404),
        type("HTTPException", (Exception,), {"__module__": "discord.errors", "status": 403})(),
        SystemExit("no configuration"),
        ConnectionResetError(),
        ValueError(),
    ],
    ids=repr,
)
def test_what_the_application_did_wrong_is_not(exc: BaseException):
    """Answers of 500 and above, and every answer that was received from elsewhere."""
    assert not is_expected(exc)


def test_a_status_that_the_application_computes_is_not_asked_for():
    """It may block; the status that the framework's class has stands for it."""

    class OwnError(werkzeug.exceptions.NotFound):
        @property
        def code(self) -> int:
            raise AssertionError("asked")

    assert is_expected(OwnError())


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


def wrapped(outer: type[Exception], inner: Exception) -> Exception:
    """Return what an ORM raises from a driver's exception."""
    exc = outer(*inner.args)
    exc.__cause__ = inner
    return exc


class PostgresError(Exception):
    """An error with the fields of asyncpg's."""

    __module__ = "asyncpg.exceptions"
    sqlstate = "23502"
    table_name = "users"
    column_name = "name"


def driver(module: str, *args: object, **attributes: object) -> Exception:
    """Return an error that inherits and carries what those of a driver do."""
    kind: type[Exception] = Exception
    for name in ("Error", "DatabaseError", "IntegrityError"):
        kind = type(name, (kind,), {"__module__": module})
    exc = kind(*args)
    vars(exc).update(attributes)
    return exc


def oracle(message: str) -> Exception:
    """Return an error as oracledb's."""
    told = SimpleNamespace(full_code=message.partition(":")[0], message=message)
    return driver("oracledb.exceptions", told)


def orm(module: str, *args: object) -> Exception:
    """Return an error of an ORM that holds the driver's."""
    return type("IntegrityError", (Exception,), {"__module__": module})(*args)


UNIQUE = sqlite3.IntegrityError("UNIQUE constraint failed: users.email")


@pytest.mark.parametrize(
    ("expected", "exc"),
    [
        (
            "23000 email",
            driver("mariadb", "Duplicate entry 'a' for key 'email'", sqlstate="23000", errno=1062),
        ),
        (
            "23505 users_email_key",
            driver(
                "pg8000.exceptions",
                {
                    "C": "23505",
                    "M": 'duplicate key value violates unique constraint "users_email_key"',
                    "n": "users_email_key",
                },
            ),
        ),
        (
            "ORA-00001 SHOP.EMAIL_KEY",
            oracle("ORA-00001: unique constraint (SHOP.EMAIL_KEY) violated"),
        ),
        (
            "ORA-01400 SHOP.USERS.NAME",
            oracle('ORA-01400: cannot insert NULL into ("SHOP"."USERS"."NAME")'),
        ),
        ("ORA-00904 NMAE", oracle('ORA-00904: "NMAE": invalid identifier')),
        (
            "23000 email_key",
            driver(
                "pyodbc",
                "23000",
                "[23000] [SQL Server]Violation of UNIQUE KEY constraint 'email_key'. …",
            ),
        ),
        (
            "23000 name",
            driver(
                "pyodbc",
                "23000",
                "[SQL Server]Cannot insert the value NULL into column 'name', table …",
            ),
        ),
        ("42S22 nmae", driver("pyodbc", "42S22", "[SQL Server]Invalid column name 'nmae'. (207)")),
        ("42000 near FORM", driver("pyodbc", "42000", "Incorrect syntax near 'FORM'. (102)")),
        ("email", driver("_duckdb", 'Constraint Error: Duplicate key "email: a" violates …')),
        ("users.name", driver("_duckdb", 'NOT NULL constraint failed: users."name"')),
        ("users.email", orm("peewee", UNIQUE, *UNIQUE.args)),
        ("users.email", orm("tortoise.exceptions", UNIQUE)),
        ("", orm("tortoise.exceptions")),
        ("", orm("shop.errors", "Invalid column name 'nmae'")),
    ],
    ids=repr,
)
def test_errors_of_any_driver_are_told_by_what_they_speak_of(expected: str, exc: BaseException):
    """By how they inherit, not by a list of packages; the first version knew nothing of them."""
    assert expected == detail(exc)
    assert first_detail(exc) in ("", None)
    assert may_have_detail(type(exc)) or not expected


@pytest.mark.parametrize(
    ("expected", "exc"),
    [
        (
            "1062 users.email",
            pymysql.IntegrityError(1062, "Duplicate entry 'a' for key 'users.email'"),
        ),
        (
            "1062 email",
            pymysql.IntegrityError(1062, "Duplicate entry 'for key 'x'' for key 'email'"),
        ),
        ("1048 name", pymysql.IntegrityError(1048, "Column 'name' cannot be null")),
        ("1054 nmae", pymysql.OperationalError(1054, "Unknown column 'nmae' in 'field list'")),
        ("1146 shop.user", pymysql.ProgrammingError(1146, "Table 'shop.user' doesn't exist")),
        ("1364 name", pymysql.OperationalError(1364, "Field 'name' doesn't have a default value")),
        ("1406 name", pymysql.DataError(1406, "Data too long for column 'name' at row 17")),
        (
            "1452 fk_user",
            pymysql.IntegrityError(
                1452,
                "Cannot add or update a child row: a foreign key constraint fails "
                "(`shop`.`orders`, CONSTRAINT `fk_user` FOREIGN KEY (`user`) REFERENCES `users`)",
            ),
        ),
        ("1213", pymysql.OperationalError(1213, "Deadlock found when trying to get lock")),
        (
            "1064 near FORM",
            pymysql.ProgrammingError(
                1064, "… for the right syntax to use near 'FORM users' at line 1"
            ),
        ),
        (
            "1062 email",
            wrapped(django.db.IntegrityError, pymysql.IntegrityError(1062, "for key 'email'")),
        ),
        (
            "users.email",
            wrapped(
                django.db.IntegrityError,
                sqlite3.IntegrityError("UNIQUE constraint failed: users.email"),
            ),
        ),
        ("23502 users.name", PostgresError("null value")),
        ("23502 users.name", wrapped(django.db.DataError, PostgresError("x"))),
        (
            "42P01 users",
            psycopg.errors.UndefinedTable('relation "users" does not exist\nLINE 1: …'),
        ),
        ("42703 u.nmae", psycopg.errors.UndefinedColumn("column u.nmae does not exist")),
        (
            "42703 nmae",
            psycopg.errors.UndefinedColumn('column "nmae" of relation "users" does not exist'),
        ),
        ("42883 totl", psycopg.errors.UndefinedFunction("function totl(integer) does not exist")),
        ("42601 near FORM", psycopg.errors.SyntaxError('syntax error at or near "FORM"')),
        ("42601 near )", psycopg.errors.SyntaxError('syntax error at or near ")"')),
        ("42601 near a value", psycopg.errors.SyntaxError('syntax error at or near "17"')),
        ("42601 near a value", psycopg.errors.SyntaxError("syntax error at or near \"'Ann'\"")),
        ("nmae", sqlite3.OperationalError("table users has no column named nmae")),
        ("one", sqlite3.IntegrityError("UNIQUE constraint failed: index 'one'")),
        ("", wrapped(django.db.Error, ValueError("not a database's"))),
    ],
    ids=repr,
)
def test_what_a_database_error_speaks_of_counts(expected: str, exc: BaseException):
    """Its code, and the constraint, the column, the missing name or the word near the mistake."""
    assert expected == detail(exc)


@pytest.mark.parametrize(
    ("expected", "exc"),
    [
        ("1062", pymysql.IntegrityError(1062, "Duplicate entry 'a' for key 'users.email'")),
        ("users.email", sqlite3.IntegrityError("UNIQUE constraint failed: users.email")),
        ('"FORM"', sqlite3.OperationalError('near "FORM": syntax error')),
        ("42P01", psycopg.errors.UndefinedTable('relation "users" does not exist')),
        ("23505", sqlalchemy.exc.IntegrityError("", {}, psycopg.errors.UniqueViolation("x"))),
        (
            "",
            wrapped(
                django.db.IntegrityError, sqlite3.IntegrityError("UNIQUE constraint failed: a")
            ),
        ),
        (None, OSError(errno.ENOSPC, "full")),
        (None, answered(404)),
        (None, KeyError("a")),
    ],
    ids=repr,
)
def test_the_details_of_the_first_version_are_frozen(expected: str | None, exc: BaseException):
    """What it took is computed still, so that its issues are found; None: the same as today."""
    assert expected == first_detail(exc)
