"""Usage by the library and the command line: recorded, counted by real workers, shown."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from riptide.cli.main import app
from riptide.errors import InvalidInput, RiptideError
from riptide.reads.sync_client import connect
from riptide.testing import inline_worker
from tests.support.deployment import Deployment
from tests.support.workers import environment, write_config

Show = dict[str, object]


@pytest.fixture
def used(on_valkey: Deployment) -> Deployment:
    """Three records of acme's, one of them sealed off."""
    settings = on_valkey.settings(tenant={"enabled": True})
    with inline_worker(settings) as worker, connect(config=settings) as rt:
        rt.tenants.create("acme")
        rt.usage.record("acme", "page.render", data_bytes=100, compute_ms=7, key="a")
        rt.usage.record("acme", "page.render", data_bytes=100, compute_ms=7, key="a")
        rt.usage.record("acme", "api/read", operation_count=3, storage_bytes=50)
        runs = worker.drain()
        assert [run.state for run in runs] == ["done", "done"]
        assert rt.status(runs[0].ref).state == "done"
    return on_valkey


def run(used: Deployment, tmp_path: Path, *arguments: str) -> str:
    config = write_config(tmp_path / "riptide.yml", tenant={"enabled": True})
    result = CliRunner().invoke(app, ["usage", *arguments], env=environment(used, config))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_line_prints_every_sum(used: Deployment, tmp_path: Path) -> None:
    shown = json.loads(run(used, tmp_path, "show", "acme", "--json", "--hours"))
    month = f"{datetime.now(UTC):%Y-%m}"
    sums = {"operations": 4, "data_bytes": 100, "compute_ms": 7, "storage_bytes": 50}
    by_operation = {
        "api/read": {"operations": 3, "data_bytes": 0, "compute_ms": 0, "storage_bytes": 50},
        "page.render": {"operations": 1, "data_bytes": 100, "compute_ms": 7, "storage_bytes": 0},
    }
    [hour] = shown.pop("by_hour").values()
    assert hour == {**sums, "by_operation": hour["by_operation"]}
    assert hour["by_operation"] == by_operation
    nothing = dict.fromkeys(sums, 0)
    assert shown == {
        "tenant": "acme",
        "month": month,
        **sums,
        "storage_byte_hours": 50,
        "by_operation": by_operation,
        "sealed": False,
        "adjustments": {**nothing, "by_operation": {}},
    }


def test_the_command_line_prints_a_table(used: Deployment, tmp_path: Path) -> None:
    text = run(used, tmp_path, "show", "acme", "--hours")
    for word in ("page.render", "api/read", "storage_byte_hours: 50", "By hour"):
        assert word in text


def test_what_is_wrong_is_told(used: Deployment, tmp_path: Path) -> None:
    with pytest.raises(RiptideError, match="there is no tenant 'nobody'"):
        run(used, tmp_path, "show", "nobody")
    with pytest.raises(InvalidInput, match="write it as 2026-11"):
        run(used, tmp_path, "show", "acme", "--month", "November")


def test_a_replay_counts_nothing_twice(used: Deployment, tmp_path: Path) -> None:
    """What has been counted is left out; with --again it is counted again, which is what was asked for."""
    config = write_config(tmp_path / "riptide.yml", tenant={"enabled": True})
    chosen = ["replay", "--type", "record_usage", "--cursor", str(tmp_path / "cursor"), "--json"]

    def replayed(*more: str) -> int:
        result = CliRunner().invoke(app, [*chosen, *more], env=environment(used, config))
        assert result.exit_code == 0, result.output
        with inline_worker(used.settings(tenant={"enabled": True})) as worker:
            worker.drain()
        facts = json.loads(run(used, tmp_path, "show", "acme", "--json"))
        return int(facts["operations"])

    assert replayed() == 4
    assert replayed("--again", "--yes") == 8
