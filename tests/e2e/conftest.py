"""A copy of the tree with a `.riptide` of its own, and programs that are found again wherever they went."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE, eventually

ROOT = Path(__file__).parents[2]
_COPIED = ("commands", "workers", "riptide", "config", "scripts", "Procfile", "pyproject.toml", "README.md")
MARK = "RIPTIDE_TEST_RUN"
# A whole run takes ten seconds; on a machine that does other things as well, a multiple of that.
_PATIENCE = 2.5 * PATIENCE


class Tree:
    """A copy of the tree. What runs in it carries a mark in its environment, by which it is found."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._token = secrets.token_hex(8)
        self._programs: list[Program] = []
        directory.mkdir()
        self._copy()

    def _copy(self) -> None:
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.directory / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, self.directory / name)
        # The running environment, seen from the copy; nothing is installed again.
        environment = self.directory / ".venv"
        environment.mkdir()
        for name in ("bin", "lib", "pyvenv.cfg"):
            (environment / name).symlink_to(Path(sys.prefix) / name)
        shutil.copy(ROOT / "pyproject.toml", environment)

    def environment(self, **more: str) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(self.directory), MARK: self._token, "NO_COLOR": "1"} | more

    def launch(self, *command: str, **more: str) -> "Program":
        output = self.directory / f"program{len(self._programs)}"
        program = Program(command, self.directory, self.environment(**more), output)
        self._programs.append(program)
        return program

    def leftovers(self) -> list[str]:
        """Command lines of what still runs in this tree."""
        return [" ".join(_read(pid, "cmdline")) for pid in self._pids()]

    def kill(self, *words: str) -> None:
        """SIGKILL whatever runs in this tree and has all `words` in its command line."""
        for pid in self._pids():
            if set(words) <= {Path(word).name for word in _read(pid, "cmdline")}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        self.kill()
        for program in self._programs:
            program.end()

    def _pids(self) -> list[int]:
        wanted = f"{MARK}={self._token}"
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in pids if wanted in _read(pid, "environ")]


class Program:
    """A program with its output in files."""

    def __init__(self, command: tuple[str, ...], cwd: Path, env: dict[str, str], output: Path) -> None:
        self._out, self._err = output.with_suffix(".out"), output.with_suffix(".err")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def wait_for(self, text: str) -> None:
        """Until it has printed `text`."""

        def printed() -> bool:
            assert self.process.poll() is None, f"it ended before {text!r}:\n{self.out}\n{self.err}"
            return text in self.out

        eventually(printed, repr(text), _PATIENCE)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, patience: float = _PATIENCE) -> int:
        """Wait for its end; answers the exit code."""
        return self.process.wait(patience)


@pytest.fixture
def tree(tmp_path: Path, binary: Callable[[str], Path]) -> Iterator[Tree]:
    """A fresh copy. What a test leaves running in it is killed."""
    if sys.platform != "linux":
        pytest.skip("processes are found by /proc")
    binary("valkey")
    made = Tree(tmp_path / "tree")
    yield made
    made.close()


def _read(pid: int, name: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().decode("utf-8", "replace").split("\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []
