"""What scripts/_venv starts ends with the script that sources it."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Program
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

# Stands for a Python with pip, which starts others in turn; they write down their process ids.
_PYTHON = """#!/usr/bin/env bash
[ "$3" = --version ] && exit 0
sleep 600 &
echo "$$ $!" >started.tmp
mv started.tmp started
wait
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_installation_too(tmp_path: Path, number: signal.Signals) -> None:
    for name in ("scripts/_venv", "scripts/run", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(_PYTHON)
    python.chmod(0o755)

    script = Program(("scripts/run",), tmp_path, {"PATH": "/usr/bin:/bin"}, tmp_path / "output")
    started = tmp_path / "started"
    try:
        eventually(started.exists, "the installation")
        script.send(number)
        assert script.end() == -number
        eventually(lambda: not any(map(_runs, started.read_text().split())), "its processes to be gone")
    finally:
        script.process.kill()
    assert not (tmp_path / ".venv/pyproject.toml").exists(), "it would count as complete"


def _runs(pid: str) -> bool:
    """A zombie of an orphan that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
