"""Programs that run beside the demo, and end with it."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_TIED = Path(__file__).with_name("tied.py")
_SHOWN_LINES = 5


class ChildFailed(Exception):
    """A program ended that should have stayed; the message shows its last words."""


class Child:
    """A program in a session of its own, so that Ctrl-C at the terminal does not reach it.

    Start it from the main thread: Linux ends it when the thread that started it is gone.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, *, cwd: Path, env: Mapping[str, str]
    ) -> None:
        self.name, self.log = name, log
        # What is there may be another one's that still runs, and this one be refused beside it.
        with log.open("ab") as output:
            self._before = output.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", _TIED, str(os.getpid()), *command],
                stdin=subprocess.PIPE,  # open until it is stopped: at an end of file pydoc's server ends
                stdout=output,
                stderr=output,
                cwd=cwd,
                env=env,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def says(self) -> str:
        """All that it has printed."""
        return self.log.read_bytes()[self._before :].decode("utf-8", "replace")

    def check(self) -> None:
        """Raise ChildFailed if it has ended."""
        code = self._process.poll()
        if code is not None:
            words = "\n".join(self.says().splitlines()[-_SHOWN_LINES:]).removeprefix("error: ")
            raise ChildFailed(words or f"{self.name} ended with exit code {code}; see {self.log}")

    def stop(self, patience: float) -> None:
        """End it in order; after `patience` seconds, at once."""
        self._process.terminate()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()


def adopt_orphans() -> None:
    """From now on whatever a child leaves behind becomes this process's own child (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_orphans() -> None:
    """Kill what the children left behind, which is nothing unless one of them was killed."""
    mine = Path(f"/proc/self/task/{os.getpid()}/children")
    while mine.exists() and (orphans := mine.read_text().split()):
        for pid in map(int, orphans):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
