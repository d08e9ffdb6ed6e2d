"""Each peer's virtual environment, made once and kept: their pins conflict with each other and with ours."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.bench.peer.catalog import Peer


class Unusable(Exception):
    """A peer cannot be installed or run; the message is the reason that the table shows."""


def programs_of(peer: Peer, cache: Path) -> Path:
    """The directory of the peer's programs, making its environment if there is none. Raises Unusable."""
    if not peer.packages:
        return Path(sys.executable).parent
    python = find_python(peer.python)
    directory = cache / re.sub(r"[^a-z]", "", peer.app.removeprefix("on_"))
    made_for = directory / "made-for"
    recipe = "\n".join((str(python), *peer.packages))
    if not made_for.exists() or made_for.read_text() != recipe:
        shutil.rmtree(directory, ignore_errors=True)
        _run([str(python), "-m", "venv", str(directory)])
        _run([str(directory / "bin" / "pip"), "install", "--quiet", *peer.packages])
        made_for.write_text(recipe)
    return directory / "bin"


def find_python(least: tuple[int, int]) -> Path:
    """A Python of at least that version, our own if it will do. Raises Unusable."""
    if sys.version_info >= least:
        return Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}"
    for python in _pythons(least):
        check = f"import ensurepip, sys; sys.exit(sys.version_info < {least})"
        if subprocess.run([python, "-c", check], capture_output=True, check=False).returncode == 0:
            return Path(python)
    raise Unusable(f"needs Python {least[0]}.{least[1]}, and none is here")


def _pythons(least: tuple[int, int]) -> Iterator[str]:
    for minor in range(least[1], least[1] + 4):
        if found := shutil.which(f"python{least[0]}.{minor}"):
            yield found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for python in sorted(pyenv.glob("versions/*/bin/python")):
        yield str(python)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unusable("cannot be installed: " + last_line(done.stderr or done.stdout))


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["without a word"])[-1]
