"""The floors hold, and the contracts that say so bite."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the package below a folder."""
    environ = {**os.environ, "PYTHONPATH": str(folder / "src")}
    return subprocess.run(
        LINT, cwd=folder, env=environ, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package to be spoilt."""
    shutil.copytree(
        ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "static")
    )
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def test_every_contract_is_kept():
    """The package as it is breaks no contract."""
    result = lint(ROOT)

    assert 0 == result.returncode, result.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("core/units.py", "import watchkeeper.app", "Imports point strictly down"),
        ("core/units.py", "import time", "The core is pure"),
        ("app.py", "import watchkeeper.storage.memory", "Concrete stores"),
        ("runtime/outbox.py", "import watchkeeper.notify.webhook", "Concrete channels"),
        ("runtime/outbox.py", "import watchkeeper.notify.smtp", "Concrete channels"),
        ("notify/webhook.py", "import apprise", "The package apprise"),
        ("integrations/flask.py", "import watchkeeper.integrations.starlette", "Framework skins"),
        ("app.py", "import jinja2", "Optional packages"),
        ("integrations/flask.py", "import httpx", "Libraries that are instrumented"),
        (
            "integrations/instruments/rq.py",
            "import watchkeeper.integrations.instruments.redis",
            "Instruments are independent",
        ),
        ("surprise.py", "", "Imports point strictly down"),
    ],
)
def test_a_seeded_violation_is_found(copy, module, line, contract):
    """One forbidden import, or a new module that chose no floor, breaks its contract."""
    spoilt = copy / "src" / "watchkeeper" / module
    before = spoilt.read_text("utf-8") if spoilt.exists() else '"""New."""\n'
    spoilt.write_text(f"{before}\n{line}\n", "utf-8")

    result = lint(copy)

    assert 1 == result.returncode
    assert any(contract in text and "BROKEN" in text for text in result.stdout.splitlines()), (
        result.stdout
    )


def test_only_the_guard_swallows_exceptions():
    """No other module catches everything without raising it again or handing it to the guard."""
    offenders = []
    for module in sorted((ROOT / "src").rglob("*.py")):
        if module.name == "guard.py":
            continue
        lines = module.read_text("utf-8").splitlines()
        for number, text in enumerate(lines):
            if not text.strip().startswith(
                ("except Exception", "except BaseException", "except:", "except (Exception")
            ):
                continue
            indent = len(text) - len(text.lstrip())
            body = []
            for line in lines[number + 1 :]:
                if line.strip() and len(line) - len(line.lstrip()) <= indent:
                    break
                if line.strip():
                    body.append(line.strip())
            swallowed = len(body) == 1 and body[0].startswith("_GUARD.swallow(")
            if not swallowed and not any(f"{line} ".startswith("raise ") for line in body):
                offenders.append(f"{module.relative_to(ROOT)}:{number + 1}")

    assert [] == offenders


def test_modules_stay_readable():
    """No module passes 400 lines."""
    long = {
        str(module.relative_to(ROOT)): lines
        for module in (ROOT / "src").rglob("*.py")
        if (lines := len(module.read_text("utf-8").splitlines())) > 400
    }

    assert {} == long
