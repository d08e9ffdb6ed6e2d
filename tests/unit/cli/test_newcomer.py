"""The command line as a newcomer meets it: help with examples, completion, near misses, pipes that end."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from riptide.cli import common
from riptide.cli.main import app
from riptide.cli.reference import reference
from riptide.errors import ConfigError
from tests.servers.ports import free_port
from tests.support.waiting import PATIENCE
from tests.support.workers import RIPTIDE, ROOT
from tests.unit.cli.test_help import ALL

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": "/"}
#: They run until they are stopped, or write a file of a form of its own.
WITHOUT_JSON = {
    "riptide worker",
    "riptide api",
    "riptide redis",
    "riptide tenant export",
    "riptide billing export",
    "riptide keys generate",
    "riptide access generate",
    "riptide config check",
    "riptide config schema",
}


def test_each_command_can_tell_a_program() -> None:
    single = {name: command for name, command in ALL.items() if not getattr(command, "commands", None)}
    lacking = {name for name, one in single.items() if "--json" not in str([p.opts for p in one.params])}
    assert lacking - WITHOUT_JSON == set()


def test_the_reference_is_current() -> None:
    assert (ROOT / "docs/cli.md").read_text("utf-8") == reference(), (
        "run: .venv/bin/python -m riptide.cli.reference > docs/cli.md"
    )


@pytest.mark.parametrize(
    ("typed", "meant"), [(["worke"], "worker"), (["dead", "lst"], "list"), (["streams", "--jsn"], "--json")]
)
def test_near_misses_are_named(typed: list[str], meant: str) -> None:
    result = CliRunner().invoke(app, typed)
    assert result.exit_code == 2
    assert meant in result.output


def test_without_its_extra_the_api_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "riptide.api.server", raising=False)
    result = CliRunner().invoke(app, ["api"])
    assert isinstance(result.exception, ConfigError)
    assert "pip install '.[api]'" in str(result.exception)


def test_types_are_completed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert common.complete_type("inv") == ["invalidate"]
    assert common.complete_types("warm,inv") == ["warm,invalidate"]
    (tmp_path / "broken.yml").write_text("[")
    monkeypatch.setenv("RIPTIDE_CONFIG", str(tmp_path / "broken.yml"))
    assert common.complete_type("inv") == ["invalidate"], "a configuration that is wrong is told elsewhere"


def test_a_shell_is_told_of_them(tmp_path: Path) -> None:
    told = {"_RIPTIDE_COMPLETE": "complete_bash", "COMP_WORDS": "riptide publish inv", "COMP_CWORD": "2"}
    run = subprocess.run(
        [RIPTIDE], env=ENVIRONMENT | told, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (run.stdout.split(), run.stderr) == (["invalidate"], "")


def test_a_reader_that_ends_early_ends_it_quietly(tmp_path: Path) -> None:
    for arguments in (["config", "show"], ["config", "schema"]):
        run = subprocess.Popen(
            [RIPTIDE, *arguments],
            env=ENVIRONMENT,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.close()
        assert run.stderr.read() == b""
        run.stderr.close()
        run.wait(PATIENCE)


def test_tables_are_whole_in_a_pipe_and_plain(tmp_path: Path) -> None:
    narrow = ENVIRONMENT | {"COLUMNS": "20"}
    run = subprocess.run(
        [RIPTIDE, "commands", "list"], env=narrow, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    shown = run.stdout
    assert "…" not in shown
    assert "\x1b" not in shown
    assert "record_access" in shown


def test_an_interrupt_ends_it_quietly(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    run = subprocess.Popen(
        [RIPTIDE, "redis", "--port", str(free_port()), "--dir", str(directory)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    assert "Ctrl-C stops it" in run.stdout.readline()
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=PATIENCE)
    assert "Traceback" not in told
