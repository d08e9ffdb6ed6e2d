"""A configuration file that others write: what it holds once nobody is writing it any more."""

import contextlib
import errno
import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_SETTLE_SECONDS = 0.1
_MOST_BYTES = 1024**2
_MOST_LINKS = 40  # as many as Linux follows


@dataclass(frozen=True, slots=True)
class Content:
    """What was in the file, and which writing of it that was."""

    data: bytes
    stamp: str


class WatchedFile:
    """`pause(seconds)` waits, and answers True when the watching is to end."""

    def __init__(self, path: Path, pause: Callable[[float], bool]) -> None:
        self.path = path
        self._pause = pause

    def settled(self) -> Content | None:
        """The content, as soon as two looks a moment apart find the same and nobody has the file open to
        write; None if there is no file, or the watching ends.

        Raises OSError if it cannot be read.
        """
        before = self._look()
        while not self._pause(_SETTLE_SECONDS):
            now = self._look()
            if now == before and not isinstance(now, str):
                return now
            before = now
        return None

    def _look(self) -> Content | str | None:
        """The content; None if there is no file; or a text that says why it is not to be taken yet."""
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            if being_written(file):
                return "being written"
            found = os.fstat(file)
            data = os.read(file, _MOST_BYTES + 1)
            if len(data) != min(found.st_size, _MOST_BYTES + 1):
                return "growing"
            return Content(data, stamp_of(self.path))
        finally:
            os.close(file)


def stamp_of(path: Path) -> str:
    """Tells one writing of a file from the others; and one that came back, renamed or by a link, from when it
    was there before. Empty if there is none."""
    try:
        found = [path.stat(), *(link.lstat() for link in links_to(path))]
    except OSError:
        return ""
    return " ".join(f"{one.st_ino}.{one.st_mtime_ns}.{one.st_ctime_ns}" for one in found)


def links_to(path: Path) -> Iterator[Path]:
    """The symbolic links on the way to a file, as far as they lead."""
    with contextlib.suppress(OSError):
        for _ in range(_MOST_LINKS):
            link = next((one for one in (*reversed(path.parents), path) if one.is_symlink()), None)
            if link is None:
                return
            yield link
            path = link.parent / link.readlink() / path.relative_to(link)


def being_written(file: int) -> bool:
    """Whether some process has it open to write; False where the system cannot tell.

    The kernel gives a read lease only on a file that nobody writes. Whoever opens it to write meanwhile waits
    until the lease is given back, a moment later; the signal of that is one that does nothing.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def unfinished(data: bytes, before: bytes | None) -> str | None:
    """Why a content looks as if its writing was cut off; None if it does not. `before` is what the file held
    when it was last good."""
    if len(data) > _MOST_BYTES:
        return f"it has more than {_MOST_BYTES:,} bytes"
    if not data.strip():
        return "it is empty"
    if not data.endswith((b"\n", b"\r")):
        return "its last line does not end, as if its writing was cut off; end it with a line break"
    if before is not None and len(data) < len(before) and before.startswith(data):
        return (
            "it is the beginning of what it was, as if its writing was cut off; "
            "if that is meant, run 'riptide config apply'"
        )
    return None
