"""Real modules of an application: written to a folder, imported, edited, and made to fail."""

import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count
from pathlib import Path
from textwrap import dedent
from types import CodeType, ModuleType

import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.runtime.issues import Issues
from watchkeeper.runtime.known import Known
from watchkeeper.runtime.places import Places

SCOPE = Scope(service="shop", environment="test")
SOURCES = Path(__file__).parents[1] / "src"


class Deployments:
    """Deploys modules, each to another folder, and tells how errors of theirs are grouped."""

    def __init__(self, folder: Path, request: pytest.FixtureRequest) -> None:
        self.folder = folder
        self._request = request
        self._numbers = count()

    def fixture(self, name: str) -> str:
        """Return a fixture that only some pairs need, such as a database's URL."""
        return str(self._request.getfixturevalue(name))

    def load(self, source: str, name: str = "shop.cart", *, under: str = "") -> ModuleType:
        """Import a module from its source."""
        path = self.folder / f"v{next(self._numbers)}" / under / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True)
        path.write_text(dedent(source), encoding="utf-8")
        spec = spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        self._request.getfixturevalue("monkeypatch").setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    def under(self, version: str, source: str, call: str) -> str:
        """Return the group that another version of Python gives to the error of a call."""
        script = self.folder / f"v{next(self._numbers)}" / "shop_cart.py"
        script.parent.mkdir()
        script.write_text(dedent(source), encoding="utf-8")
        main = (
            "from watchkeeper.testing import fingerprint\n"
            "import shop_cart\n"
            "try:\n"
            f"    shop_cart.{call}\n"
            "except Exception as error:\n"
            "    print(fingerprint(error.with_traceback(error.__traceback__.tb_next)))\n"
        )
        packages = [path for path in sys.path if path.endswith("site-packages")]
        path = os.pathsep.join([str(script.parent), str(SOURCES), *packages])
        done = subprocess.run(
            [interpreter(version), "-c", main],
            env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (0, "") == (done.returncode, done.stderr)
        return done.stdout.strip()


@pytest.fixture
def deployed(tmp_path: Path, request: pytest.FixtureRequest) -> Deployments:
    """Deployments in folders of the test's own."""
    return Deployments(tmp_path, request)


def interpreter(version: str) -> str:
    """Find a version of Python, or skip the test: not every machine has all of them."""
    if sys.version.startswith(f"{version}."):
        return sys.executable
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    found = sorted(Path(root).glob(f"versions/{version}.*/bin/python"))
    path = str(found[-1]) if found else shutil.which(f"python{version}")
    if path is None or "shims" in path:
        pytest.skip(f"there is no Python {version}")
    return path


def raised(function: Callable[..., object], *args: object) -> BaseException:
    """Call and return what it raises, with the trace as the framework above would see it."""
    try:
        function(*args)
    except BaseException as exc:  # noqa: BLE001  # whatever it is: it is what is looked at
        return exc.with_traceback(exc.__traceback__ and exc.__traceback__.tb_next)
    raise AssertionError("nothing was raised")


def known(
    exc: BaseException,
    *,
    endpoint: Callable[..., object] | None = None,
    fingerprint: list[str] | None = None,
    places: Places | None = None,
) -> Known:
    """Return what a fresh process knows an exception as."""
    code: CodeType | None = inspect.unwrap(endpoint).__code__ if endpoint else None
    issues = Issues(SCOPE, places=places)
    found = issues.capture(exc, endpoint=code, fingerprint=fingerprint)
    assert found is not None
    return found


def group_of(
    exc: BaseException,
    *,
    endpoint: Callable[..., object] | None = None,
    fingerprint: list[str] | None = None,
) -> str:
    """Return the fingerprint that a fresh process gives to an exception."""
    return known(exc, endpoint=endpoint, fingerprint=fingerprint).fingerprint
