"""Pages that lead somebody step by step work as they stand: each command, each program, each answer."""

import runpy
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from riptide.cli.main import app
from tests.e2e.conftest import ROOT
from tests.servers import ServerProcess
from tests.support.deployment import Deployment
from tests.support.pages import blocks, named, printed
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess, environment, write_config

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

_SERVED = ("record_usage", "record_access", "purge_tenant")


class Desk:
    """A folder with a page's files, on a host where RipTide is installed. Programs and commands run in this
    process: to start Python for each of them would take longer than all else."""

    def __init__(self, server: ServerProcess, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch = folder, patch
        self.deployment = Deployment(server.url, "riptide")
        tenant = {"enabled": True}
        for name, value in environment(
            self.deployment, write_config(folder / "desk.yml", tenant=tenant)
        ).items():
            patch.setenv(name, value)
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        self.worker = WorkerProcess(self.deployment, folder, commands=_SERVED, tenant=tenant)

    def page(self, name: str) -> str:
        """A page's text; its programs are in the folder."""
        text = (ROOT / f"docs/{name}").read_text()
        for file, content in named(text, "python").items():
            (self.folder / file).write_text(content)
        return text

    def run(self, line: str) -> str:
        """What a command prints."""
        words = shlex.split(line, comments=True)
        assert words[0] == "riptide"
        ended = CliRunner().invoke(app, words[1:], catch_exceptions=False, env={"COLUMNS": "200"})
        assert ended.exit_code == 0, f"{line}\n{ended.output}"
        return ended.output

    def all_of(self, block: str) -> str:
        """Each command of a block; answers what all of them print."""
        return "".join(self.run(line) for line in block.splitlines() if line)

    def program(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        """A program prints what its comments say."""
        capsys.readouterr()
        runpy.run_path(str(self.folder / name), run_name="__main__")
        told = printed((self.folder / name).read_text())
        assert capsys.readouterr().out.splitlines() == told
        assert told

    def close(self) -> None:
        self.worker.kill()
        self.deployment.close()
        for file in self.folder.glob("*.py"):
            sys.modules.pop(file.stem, None)


@pytest.fixture
def desk(
    private_server: Callable[..., ServerProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    made = Desk(private_server(), tmp_path, monkeypatch)
    yield made
    made.close()


def test_onboarding_a_tenant(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    text = desk.page("onboarding-a-tenant.md")
    record, limits, policies, warm, look, back = blocks(text, "sh")
    desk.worker.start()
    desk.all_of(record)
    desk.all_of(limits)
    desk.all_of(policies)
    desk.program("service.py", capsys)
    desk.all_of(warm)
    eventually(lambda: "page.render" in desk.run("riptide usage show acme"), "the usage to be counted")
    assert "page.render" in desk.all_of(look)
    assert "suspended" in desk.all_of(back)
    assert (desk.folder / "acme.jsonl").stat().st_size > 0
    eventually(lambda: not desk.deployment.client.exists("riptide:registry:{acme}"), "the purge")


def test_adopting_and_going_back(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = desk.page("adopting.md")
    beside, looking = blocks(text, "sh")
    desk.program("before.py", capsys)
    desk.all_of(beside)
    desk.worker.start()
    for line in blocks(text, "bash"):
        flag, program, name = line.split()
        assert program == "python"
        monkeypatch.setenv(*flag.split("="))
        desk.program(name, capsys)
        monkeypatch.delenv(flag.partition("=")[0])
        desk.all_of(looking)
    desk.program("further.py", capsys)
