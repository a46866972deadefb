"""Where code lives: in which module, whether in the application, and how its file is shown."""

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from types import CodeType
from typing import Any, Final

from watchkeeper.core.raised import TraceFrame
from watchkeeper.runtime.bare import module_of, qualname_of
from watchkeeper.runtime.endpoints import ViewMethod

_GENERATED: Final = ("<frozen ", "<string>", "<attrs generated")
_MODULE_SUFFIXES: Final = (".py", ".pyc", ".pyw", ".pyx", ".so")
_PACKAGES: Final = ("/site-packages/", "/dist-packages/")
_SCRIPTS: Final = frozenset({"__main__", "__mp_main__"})

_DISPATCHERS: Final[Mapping[str, Collection[str]]] = {
    "django.core.handlers.base": ("_get_response", "_get_response_async"),
    "fastapi.routing": ("app", "run_endpoint_function"),
    "flask.app": ("full_dispatch_request", "dispatch_request"),
    "litestar.routes.http": ("handle", "_get_response_for_request", "_call_handler_function"),
    "litestar.routes.websocket": ("handle",),
    "quart.app": (
        "full_dispatch_request",
        "dispatch_request",
        "full_dispatch_websocket",
        "dispatch_websocket",
    ),
    "starlette.endpoints": ("dispatch",),
    "starlette.routing": ("handle", "app"),
}
"""Module → the functions by which a framework hands a request to its endpoint.

All middlewares stand above them. One that a framework renames only brings back what it is for: a
middleware counts for what happens behind it.
"""


class Places:
    """Tells of code objects where they live, seen from one project."""

    def __init__(
        self,
        project_root: str | None = None,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        transparent: Sequence[str] = (),
    ) -> None:
        """Take files under `project_root` (default: the working directory) as the project's.

        `include` and `exclude` name modules, with all within them, that are the application
        wherever they are installed, or are none of it; the longer name wins. Frames that a pattern
        of `transparent` fits ("shop.util.*") are looked through when an error's place is chosen.
        """
        self._include = include
        self._exclude = exclude
        self._transparent = transparent
        self._root = _folder(project_root or _working_directory())
        standard = os.path.dirname(os.__file__)
        self._standard = tuple({_folder(standard), _folder(os.path.realpath(standard))})
        self._own = _folder(os.path.dirname(os.path.dirname(__file__)))

    def frame(self, code: CodeType, names: Mapping[str, Any]) -> TraceFrame:
        """Describe a code object; `names` are the globals it runs with."""
        filename = code.co_filename
        owner = names.get("__name__")
        owner = owner if isinstance(owner, str) else ""
        module = _module(owner, names, filename)
        application = self.is_application(filename, owner)
        return TraceFrame(
            module=module,
            function=code.co_name,
            qualname=code.co_qualname,
            file=self.shown(filename),
            application=application,
            transparent=bool(self._transparent) and self._is_transparent(module or owner, code),
            dispatches=not application and code.co_name in _DISPATCHERS.get(module, ()),
        )

    def view(self, method: ViewMethod) -> TraceFrame | None:
        """Describe the class of a view whose method is a library's; None if it is not."""
        if self.is_application(method.code.co_filename):
            return None
        name = method.code.co_name
        return TraceFrame(
            module=str(module_of(method.view)),
            function=name,
            qualname=f"{qualname_of(method.view)}.{name}",
        )

    def is_application(self, filename: str, owner: str = "") -> bool:
        """Tell whether code is the user's: not a library, not generated, not Watchkeeper.

        Code without a file belongs to whom the module that ran it belongs to.
        """
        if filename.startswith(_GENERATED):
            return False
        included, excluded = _depth(owner, self._include), _depth(owner, self._exclude)
        if included or excluded:
            return included >= excluded
        if filename.startswith("<"):
            module = sys.modules.get(owner.partition(".")[0])
            file = getattr(module, "__file__", None)
            return not isinstance(file, str) or self.is_application(file)
        path = filename.replace("\\", "/")
        if path.startswith(self._own):
            return path.startswith(f"{self._own}demo/")  # the demo plays the user's application
        return not any(folder in path for folder in _PACKAGES) and not path.startswith(
            self._standard
        )

    def _is_transparent(self, module: str, code: CodeType) -> bool:
        names = (module, f"{module}.{code.co_name}", f"{module}.{code.co_qualname}")
        return any(fnmatchcase(name, one) for one in self._transparent for name in names)

    def shown(self, filename: str) -> str:
        """Return a path that is the same on every machine: relative, else the bare file name."""
        path = filename.replace("\\", "/")
        if path.startswith("<"):
            return path
        for folder in _PACKAGES:
            _, found, inner = path.rpartition(folder)
            if found:
                return inner
        for root in (self._root, *self._standard, self._own):
            if root and path.startswith(root):
                return path.removeprefix(root)
        return path if not os.path.isabs(filename) else path.rpartition("/")[2]


def _module(owner: str, names: Mapping[str, Any], filename: str) -> str:
    """Return the module that code belongs to, or "" for code that no import would find."""
    if filename.startswith("<") or not filename.endswith(_MODULE_SUFFIXES):
        return ""
    if owner in _SCRIPTS:
        owner = str(getattr(names.get("__spec__"), "name", None) or "")
    return owner if owner and all(part.isidentifier() for part in owner.split(".")) else ""


def _depth(module: str, names: Sequence[str]) -> int:
    """Return the length of the longest of the names that a module is in, 0 for none."""
    within = (name for name in names if module == name or module.startswith(f"{name}."))
    return max((len(name) for name in within), default=0)


def _folder(path: str) -> str:
    path = path.replace("\\", "/").rstrip("/")
    return f"{path}/" if path else ""


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return ""
