"""Which of the workers that share something reports it: the one that holds a lock of the system.

No database is asked, and a worker that dies loses its locks with everything else.
"""

import contextlib
import os
from hashlib import blake2b
from pathlib import Path
from typing import Final

OFFSETS: Final = 1 << 62  # of bytes of a file of none; locks reach beyond its end
FILE: Final = "watchkeeper-{user}-hosts.lock"


def usual_place() -> Path:
    """Return the file whose bytes are locked: one for all that this user runs on this machine."""
    import tempfile  # not at the host's start: it brings three packers of files

    user = os.geteuid() if hasattr(os, "geteuid") else "user"
    return Path(tempfile.gettempdir()) / FILE.format(user=user)


class Reporter:
    """Tells whether this process reports what several share, each thing by a name.

    A lock is a byte of one empty file, by the hash of the name, so that no files pile up. It is
    the process' own: a forked child has none, and asks anew. Where nothing can be locked everybody
    reports: gauges of several workers are combined by their largest.
    """

    def __init__(self, place: Path) -> None:
        """Prepare; nothing is opened before the first question."""
        self._place = place
        self._file = -1

    def reports(self, name: str) -> bool:
        """Take the lock of a name, unless another process holds it; tell whether it is ours."""
        try:
            from fcntl import LOCK_EX, LOCK_NB, lockf
        except ImportError:  # Windows
            return True
        digest = blake2b(name.encode(errors="replace"), digest_size=8).digest()
        offset = int.from_bytes(digest, "big") % OFFSETS
        try:
            lockf(self._opened(), LOCK_EX | LOCK_NB, 1, offset)
        except (BlockingIOError, PermissionError):
            return self._file < 0  # the lock is another's; without a file it is nobody's
        except OSError:
            return True
        return True

    def close(self) -> None:
        """Give every lock to whoever asks next."""
        file, self._file = self._file, -1
        if file >= 0:
            with contextlib.suppress(OSError):
                os.close(file)

    def _opened(self) -> int:
        """Return the file, opened anew if somebody tidied it away meanwhile."""
        if self._file >= 0 and not self._is_there():
            self.close()
        if self._file < 0:
            # No link is followed, and no file of somebody else, who could hold all locks of it.
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            file = os.open(self._place, flags, 0o600)
            if os.fstat(file).st_uid != os.geteuid():
                os.close(file)
                raise PermissionError(f"{self._place} belongs to somebody else")
            self._file = file
        return self._file

    def _is_there(self) -> bool:
        try:
            found, own = os.stat(self._place), os.fstat(self._file)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)
