"""What tests of channels share: notifications as the engine writes them, and a certificate."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.notify import Notification

NOW = 1_795_874_530.0  # 28 November 2026, 14:02:10 UTC


@pytest.fixture
def told() -> Callable[..., Notification]:
    """Make a notification of an error rate on one route; keys given replace the payload's."""

    def made(kind: str = "firing", *, alert: dict[str, Any] | None = None, **payload: Any) -> Any:
        usual = {
            "labels": {"route": "/checkout"},
            "summary": "High error rate (route /checkout): 12.4 % (31 of 250 in 1 min) > 5 %",
            "value": 0.124,
            "value_text": "12.4 %",
            "threshold": 0.05,
            "threshold_text": "5 %",
            "peak_text": "18.2 %",
            "bad": 31,
            "total": 250,
            "window_s": 60,
            "started_at": NOW - 130,
            "ended_at": None,
            "incident": 417,
            "link": "https://shop.example/watchkeeper/incidents/417",
            "severity": "critical",
            **(alert or {}),
        }
        return Notification(
            id=f"message-of-{kind}",
            channel="team",
            kind=kind,
            at=NOW,
            payload={
                "rule": "High error rate",
                "severity": "critical",
                "status": "firing",
                "service": "shop",
                "environment": "production",
                "summary": usual["summary"],
                "started_at": NOW - 130,
                "ended_at": None,
                "link": "https://shop.example/watchkeeper/incidents/417",
                "ack_link": "https://shop.example/watchkeeper/ack?t=made-up",
                "silence_link": "https://shop.example/watchkeeper/silence?t=made-up",
                "thread": "",
                "sequence": 0,
                "release": {"name": "v42", "at": NOW - 170, "after_s": 40},
                "description": "More than 5 % of the requests failed.",
                "next_steps": ["Look at the issues that began at that time."],
                "late": False,
                "more": 0,
                "alerts": [usual],
                **payload,
            },
        )

    return made


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, with its key."""
    program = shutil.which("openssl")
    if program is None and os.environ.get("CI"):
        pytest.fail("CI has no program openssl")
    if program is None:
        pytest.skip("needs the program openssl")
    path = tmp_path / "own.pem"
    options = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 "
        "-addext basicConstraints=critical,CA:TRUE -keyout - -out -"
    )
    made = subprocess.run(
        [program, *options.split()],
        capture_output=True,
        check=True,
    )
    path.write_bytes(made.stdout)
    return path
