"""What is read from the text that a crashed process leaves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.crash import MAX_CRASH_FRAMES, Crash, CrashFrame

TEXT = """Fatal Python error: Segmentation fault

Thread 0x00007f8d7c9ff6c0 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 324 in wait
  File "/srv/shop/other.py", line 3 in waiting

Current thread 0x00007f8d8f2a4740 (most recent call first):
  File "/usr/lib/python3.11/ctypes/__init__.py", line 519 in string_at
  File "/srv/shop/orders.py", line 17 in place
  File "/srv/shop/orders.py", line ??? in <module>

Extension modules: _cffi_backend, greenlet._greenlet (total: 2)
"""


def test_the_crashed_thread_is_found_among_all():
    """Its frames come outermost first, as those of an exception do."""
    assert Crash(
        kind="Segmentation fault",
        frames=(
            CrashFrame(file="/srv/shop/orders.py", line=0, function="<module>"),
            CrashFrame(file="/srv/shop/orders.py", line=17, function="place"),
            CrashFrame(
                file="/usr/lib/python3.11/ctypes/__init__.py", line=519, function="string_at"
            ),
        ),
    ) == Crash.read(TEXT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("Timeout (0:00:05)!\nThread 0x1 (most recent call first):\n", None),
        ("Fatal Python error: Aborted", Crash(kind="Aborted")),
        ("Windows fatal exception: access violation\n", Crash(kind="access violation")),
        (
            "Fatal Python error: Bus error\n\nStack (most recent call first):\n"
            '  File "a.py", line 3 in f\n  ...\n  File "a.py", li',
            Crash(kind="Bus error", frames=(CrashFrame(file="a.py", line=3, function="f"),)),
        ),
    ],
    ids=["empty", "a timer's dump", "no stack", "Windows", "cut off"],
)
def test_what_is_there_is_read(text: str, expected: Crash | None):
    """A text may be of another kind, from elsewhere, or cut off anywhere."""
    assert expected == Crash.read(text)


def test_frames_are_bounded():
    """As many are read as faulthandler writes, no more."""
    row = '  File "a.py", line 3 in f\n'
    crash = Crash.read(f"Fatal Python error: Aborted\n\nCurrent thread 0x1:\n{row * 1_000}")

    assert crash is not None
    assert MAX_CRASH_FRAMES == len(crash.frames)


@given(st.text())
def test_any_text_can_be_read(text: str):
    """Nothing is raised for what somebody else wrote into the file."""
    crash = Crash.read(f"Fatal Python error: x\nCurrent thread \n{text}")

    assert crash is not None
    assert "x" == crash.kind
