"""The command line, run as a process, as people run it."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.deployment import Deployment
from tests.support.fixtures import alone, deployment, on_valkey
from tests.support.waiting import PATIENCE
from tests.support.workers import RIPTIDE, environment, write_config

__all__ = ["alone", "deployment", "on_valkey"]


@dataclass(frozen=True)
class Shown:
    """What a run printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code in {0, 1, 3, 4}, self.err
        return json.loads(self.out)


class Cli:
    def __init__(self, deployment: Deployment, directory: Path) -> None:
        self._environment = environment(deployment, write_config(directory / "riptide.yml"))

    def __call__(
        self, *arguments: str | bytes, stdin: str = "", extra: Sequence[tuple[str, str]] = ()
    ) -> Shown:
        run = subprocess.run(
            [RIPTIDE, *arguments],
            env=self._environment | {"COLUMNS": "250"} | dict(extra),
            input=stdin.encode(),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        shown = Shown(run.returncode, run.stdout.decode(), run.stderr.decode())
        assert "Traceback" not in shown.err, shown.err
        return shown


@pytest.fixture
def riptide(deployment: Deployment, tmp_path: Path) -> Cli:
    """On each kind of server."""
    return Cli(deployment, tmp_path)


@pytest.fixture
def riptide_on_valkey(on_valkey: Deployment, tmp_path: Path) -> Cli:
    """Where the kind of server makes no difference."""
    return Cli(on_valkey, tmp_path)
