"""`riptide doctor` as it is run, and its page."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from commands import COMMANDS
from riptide.cli.main import app
from riptide.doctor.examining import CHECKS
from riptide.errors import InvalidInput
from tests.servers import ServerProcess
from tests.support.deployment import TYPES, Deployment
from tests.support.waiting import PATIENCE, eventually
from tests.support.workers import ROOT, WorkerProcess, environment, write_config

#: A worker on a busy machine is not taken for a silent one.
PATIENT: dict[str, Any] = {"workers": {"lease_seconds": PATIENCE}}


def test_the_page_names_every_check() -> None:
    page = (ROOT / "docs/doctor.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| (.+?) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [(check.name, check.looks, check.matters) for check in CHECKS]
    assert len({check.name for check in CHECKS}) == len(CHECKS)


@pytest.fixture
def riptide(private_server: Callable[..., ServerProcess], tmp_path: Path, prefix: str) -> "Run":
    return Run(private_server(aof=True), tmp_path, prefix)


class Run:
    """The command line of one deployment, in this process."""

    def __init__(self, server: ServerProcess, directory: Path, prefix: str) -> None:
        self.server, self.deployment = server, Deployment(server.url, prefix)
        self._variables = environment(self.deployment, write_config(directory / "riptide.yml", **PATIENT))

    def __call__(self, *arguments: str, code: int = 0, **variables: str) -> str:
        told = CliRunner().invoke(app, arguments, env=self._variables | variables)
        assert told.exit_code == code, told.output
        assert told.exception is None or isinstance(told.exception, SystemExit)
        return told.output


def test_from_an_empty_server_to_a_deployment_that_is_well(riptide: Run, tmp_path: Path) -> None:
    begun = riptide("doctor", "--only", "work.unread")
    assert "! work.unread         no worker runs" in begun
    assert "    do:    riptide worker\n" in begun
    riptide("doctor", "--only", "work.unread", "--strict", code=1)
    riptide("publish", "effect", "--body", '{"into": "x", "end": "dead"}')
    assert "✗ work.unread" in riptide("doctor", code=1)
    with WorkerProcess(riptide.deployment, tmp_path, commands=[*COMMANDS, *TYPES], **PATIENT):
        eventually(lambda: riptide.deployment.letters("effect"), "it to be dead")
        assert "riptide dead list --type effect" in riptide("doctor", "--only", "work.dead")
        riptide("dead", "drop", "--type", "effect", "--yes")
        riptide("checkpoint", "create")
        well = json.loads(riptide("doctor", "--strict", "--json"))
        assert (well["counts"]["warn"], well["counts"]["fail"]) == (0, 0)
        assert [check["name"] for check in well["checks"]] == [check.name for check in CHECKS]


def test_what_it_says_when_there_is_nothing_to_look_at(riptide: Run, tmp_path: Path) -> None:
    riptide.server.kill()
    away = riptide("doctor", code=1)
    assert "✗ server.reachable" in away
    assert "✓ state.blobs" in away
    assert "✗ server.reachable" in riptide("doctor", "--only", "work.dead", code=1), (
        "no script is to miss that"
    )
    broken = tmp_path / "broken.yml"
    broken.write_text("persistence: {redis: {pool_size: many}}\n")
    assert "✗ config.file" in riptide("doctor", code=1, RIPTIDE_CONFIG=str(broken))
    told = CliRunner().invoke(app, ["doctor", "--only", "nonsense"])
    assert isinstance(told.exception, InvalidInput)
