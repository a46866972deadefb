"""What users may rely on, and what importing us costs a host."""

import ast
import inspect
import json
import subprocess
import sys

import watchkeeper

HEAVY = ("sqlalchemy", "jinja2", "click", "rich", "smtplib", "urllib.request", "apprise", "psutil")

PROGRAM = """
import json, sys
before = set(sys.modules)
import watchkeeper
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_the_public_names_are_few_sorted_and_there():
    """`watchkeeper.__all__` is the contract: these 15 names, each of them real."""
    assert [
        "Alert",
        "Settings",
        "asgi",
        "capture_exception",
        "counter",
        "gauge",
        "health_check",
        "histogram",
        "job",
        "set_user",
        "span",
        "tag",
        "timed",
        "watch",
        "wsgi",
    ] == watchkeeper.__all__
    assert all(hasattr(watchkeeper, name) for name in watchkeeper.__all__)


def test_nothing_else_is_public():
    """The package's own file imports exactly what it exports."""
    tree = ast.parse(inspect.getsource(watchkeeper))
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert set(watchkeeper.__all__) == imported


def test_every_public_name_is_documented():
    """Each public name has a docstring that says what it is for."""
    undocumented = [
        name for name in watchkeeper.__all__ if not inspect.getdoc(getattr(watchkeeper, name))
    ]

    assert [] == undocumented


def test_importing_brings_nothing_heavy():
    """`import watchkeeper` brings neither a database toolkit nor a template engine along."""
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )

    brought = json.loads(answer.stdout)
    assert [] == [name for name in brought if name in HEAVY]


def test_the_kill_switch_imports_and_touches_nothing(tmp_path):
    """With WATCHKEEPER_ENABLED=0 a watched app serves, without a thread and without a file."""
    program = """
import json, sys, threading
from flask import Flask
import watchkeeper
app = Flask("shop")
app.add_url_rule("/", view_func=lambda: "hello")
watchkeeper.watch(app)
answer = app.test_client().get("/").text
print(json.dumps([answer, threading.active_count(), "sqlalchemy" in sys.modules]))
"""
    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"WATCHKEEPER_ENABLED": "0"},
    )

    assert ["hello", 1, False] == json.loads(answer.stdout)
    assert [] == list(tmp_path.iterdir())
    assert "" == answer.stderr
