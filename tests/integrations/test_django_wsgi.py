"""Django under WSGI: files, bodies that nobody reads, and the rules of WSGI itself."""

from functools import partial
from io import BytesIO
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import django_site as site
import pytest
from django.test import Client

import watchkeeper.integrations as integrations

pytestmark = pytest.mark.usefixtures("unhooked")

project = partial(site.project, "wsgi")


@pytest.mark.trap("file_wrapper", "django")
def test_a_file_goes_out_as_the_servers_own_object(recorded):
    """Sendfile stays possible: the server gets the very object of its file wrapper."""
    given = site.environ("/file/", **{"wsgi.file_wrapper": FileWrapper})

    with project() as app:
        body = app(given, lambda status, headers: lambda data: None)
        assert FileWrapper is type(body)
        body.close()

    assert {"answered GET /file/ 200": 1} == recorded.outcomes()


@pytest.mark.trap("neither exhausted nor closed", "django")
def test_a_response_that_nobody_reads_counts(recorded):
    """A server may drop a response without reading or closing it."""
    with project() as app:
        app(site.environ("/stream/plain/"), lambda status, headers: lambda data: None)

    assert {"answered GET /stream/<kind>/ 200": 1} == recorded.outcomes()
    assert 0 == recorded.active


def test_the_validator_is_content_around_and_inside(recorded):
    """The hook keeps every rule of WSGI."""
    with project() as app:
        outer = validator(integrations.wsgi(validator(app)))
        assert b"item 1" == site.wsgi(outer, "/items/1/")[2]


def test_an_upload_that_breaks_off_is_no_issue(recorded):
    """A client that leaves in mid-upload is no fault of the application's."""

    class Gone(BytesIO):
        def read(self, *size: int) -> bytes:
            raise OSError("gone")

    form = {"CONTENT_TYPE": "application/x-www-form-urlencoded", "CONTENT_LENGTH": "9"}
    with project() as app:
        assert 500 == site.wsgi(app, "/form/", "POST", **form, **{"wsgi.input": Gone()})[0]

    assert {"answered POST /form/ 500": 1} == recorded.outcomes()
    assert {} == recorded.issues()


def test_djangos_test_client_works_beside(recorded):
    """Django's own client passes no server: nothing is recorded, nothing fails."""
    with project():
        assert 200 == Client().get("/items/1/").status_code
        assert 500 == Client(raise_request_exception=False).get("/fail/x/").status_code

    assert {} == recorded.outcomes()
