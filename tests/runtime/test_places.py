"""Whose code it is, and how its file is called."""

import json.decoder
import os
from pathlib import Path
from types import CodeType

import pytest

import watchkeeper
from watchkeeper.runtime.places import Places

OWN = Path(watchkeeper.__file__).parent


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """The view from a project in `tmp_path`."""
    return Places(str(tmp_path))


def code(filename: str) -> CodeType:
    """Return a function's code that says it comes from a file."""
    return compile("def f(): ...", filename, "exec").co_consts[0]


@pytest.mark.parametrize(
    "filename",
    [
        json.decoder.__file__,
        pytest.__file__,
        "/srv/venv/lib/python3.12/site-packages/fastapi/routing.py",
        "/usr/lib/python3/dist-packages/flask/app.py",
        "C:\\venv\\Lib\\site-packages\\flask\\app.py",
        "<frozen importlib._bootstrap>",
        "<string>",
        "<attrs generated methods shop.models.Order>",
        str(OWN / "runtime" / "issues.py"),
    ],
)
def test_libraries_and_generated_code_are_no_application(places: Places, filename: str):
    """The standard library, installed packages, generated methods, and Watchkeeper itself."""
    assert not places.is_application(filename)


@pytest.mark.parametrize(
    "filename",
    ["/srv/shop/cart.py", "shop/cart.py", "<stdin>", "<rule_17>", str(OWN / "demo" / "shop.py")],
)
def test_everything_else_is_the_application(places: Places, filename: str):
    """Also code that was typed in, made by `exec`, and the demo's shop."""
    assert places.is_application(filename)


def test_code_without_a_file_belongs_to_the_module_that_ran_it(places: Places):
    """What a library makes by `exec` is the library's."""
    assert not places.is_application("<made>", "json.decoder")
    assert not places.is_application("<made>", "pytest")
    assert places.is_application("<made>", "")


@pytest.mark.parametrize(
    ("expected", "filename"),
    [
        ("shop/cart.py", "{root}/shop/cart.py"),
        ("cart.py", "/elsewhere/cart.py"),
        ("shop/cart.py", "shop/cart.py"),
        ("fastapi/routing.py", "/srv/venv/lib/python3.12/site-packages/fastapi/routing.py"),
        ("json/decoder.py", json.decoder.__file__),
        ("<rule_17>", "<rule_17>"),
    ],
)
def test_files_are_shown_without_the_machines_paths(
    places: Places, tmp_path: Path, expected: str, filename: str
):
    """A path is relative to the project or its package, else only the file's name."""
    assert expected == places.shown(filename.replace("{root}", str(tmp_path)))


@pytest.mark.parametrize(
    ("expected", "names", "filename"),
    [
        ("shop.cart", {"__name__": "shop.cart"}, "/srv/shop/cart.py"),
        ("shop.__main__", {"__name__": "__main__", "__spec__": None}, "/srv/shop/__main__.py"),
        ("", {"__name__": "__main__"}, "/srv/run.py"),
        ("", {"__name__": "shop.cart"}, "<rule_17>"),
        ("", {"__name__": "/srv/templates/order.html"}, "/srv/templates/order.html"),
        ("", {"__name__": 7}, "/srv/shop/cart.py"),
        ("", {}, "/srv/shop/cart.py"),
    ],
)
def test_the_module_is_the_one_that_an_import_would_find(
    places: Places, expected: str, names: dict[str, object], filename: str
):
    """A script run by `-m` has its real name; templates and `exec` have no module."""
    if "__spec__" in names:
        names = names | {"__spec__": type("Spec", (), {"name": expected})()}

    assert expected == places.frame(code(filename), names).module


def test_the_working_directory_is_the_project_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Without a root, files are shown relative to the working directory, if it exists."""
    monkeypatch.chdir(tmp_path)

    assert "cart.py" == Places().shown(os.path.join(os.getcwd(), "cart.py"))

    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert "cart.py" == Places().shown("/srv/cart.py")


@pytest.mark.parametrize(
    ("expected", "owner"),
    [
        (True, "shop"),
        (True, "shop.cart"),
        (False, "shopping.cart"),
        (False, "shop.vendored.http"),
        (True, "shop.vendored.ours.http"),
        (False, "other"),
    ],
)
def test_modules_can_be_the_application_though_they_are_installed(expected: bool, owner: str):
    """The longer name wins, and both over where the file is."""
    places = Places(include=["shop", "shop.vendored.ours"], exclude=["shop.vendored"])
    installed = "/srv/venv/lib/python3.12/site-packages/x.py"

    assert expected == places.is_application(installed, owner)


def test_modules_of_the_project_can_be_none_of_the_application():
    """Code that was copied into the project, with all below it, but not its namesakes."""
    places = Places(exclude=["shop.vendored"])

    assert not places.is_application("/srv/shop/vendored/http.py", "shop.vendored.http")
    assert places.is_application("/srv/shop/vendored_by_us.py", "shop.vendored_by_us")
