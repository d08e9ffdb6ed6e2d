"""`riptide schedule` and `riptide commands`."""

from pathlib import Path

import yaml

from tests.integration.cli.conftest import Cli
from tests.support.deployment import Deployment
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess, write_config


def with_schedule(riptide: Cli, directory: Path, prefix: str) -> None:
    """Change the configuration that `riptide` reads."""
    often = {"every": "1s", "command": "effect", "body": {"into": prefix}}
    month = {"monthly": "1h", "command": "effect", "tenant": "acme", "body": {"into": f"{prefix}:{{month}}"}}
    write_config(directory / "riptide.yml", schedule={"entries": {"often": often, "month": month}})


def test_schedules_are_listed_and_run(on_valkey: Deployment, riptide_on_valkey: Cli, tmp_path: Path) -> None:
    deployment, riptide = on_valkey, riptide_on_valkey
    with_schedule(riptide, tmp_path, deployment.prefix)
    rows = {row["name"]: row for row in riptide("schedule", "list", "--json").json}
    assert list(rows) == ["warm", "checkpoint", "close_period", "month", "often"]
    assert rows["warm"]["off"] == "cache.enable_warming is off"
    assert rows["warm"]["next"] is None
    assert rows["checkpoint"]["off"] is None
    assert rows["often"]["last"] is None
    assert rows["month"]["next"].endswith("-01T01:00Z")

    ref = riptide("schedule", "run", "month").out.strip()
    ((partition, entry_id, fields),) = deployment.entries("effect")
    assert ref == f"effect.{partition}.{entry_id}"
    assert fields[b"tenant"] == b"acme"
    assert b"{month}" not in fields[b"body"]

    config = yaml.safe_load((tmp_path / "riptide.yml").read_text())["persistence"]
    with WorkerProcess(deployment, tmp_path / "worker", **config):
        eventually(lambda: len(deployment.entries("effect")) >= 3, "two slots")
    often = {row["name"]: row for row in riptide("schedule", "list", "--json").json}["often"]
    assert often["last"] is not None
    assert riptide("command", often["ref"], "--json").json["state"] in {"queued", "running", "done"}
    shown = riptide("schedule", "list").out
    assert "off: cache.enable_warming is off" in shown
    assert "every 1 s" in shown


def test_what_is_off_or_unknown_is_not_run(riptide_on_valkey: Cli) -> None:
    off = riptide_on_valkey("schedule", "run", "warm")
    assert (off.code, off.err) == (
        2,
        "error: schedule warm is off: cache.enable_warming is off\n",
    )
    unknown = riptide_on_valkey("schedule", "run", "nothing")
    assert unknown.code == 2
    assert "known are warm, checkpoint, close_period" in unknown.err


def test_an_entry_that_cannot_be_is_told_before_a_worker_starts(
    riptide_on_valkey: Cli, tmp_path: Path
) -> None:
    write_config(tmp_path / "riptide.yml", schedule={"entries": {"a": {"cron": "@daily", "command": "noop"}}})
    for command in (["worker"], ["config", "check", str(tmp_path / "riptide.yml")]):
        shown = riptide_on_valkey(*command)
        assert shown.code == 2
        assert "schedule.entries.a.cron: '@daily' is not valid: five fields are needed" in shown.err
    write_config(tmp_path / "riptide.yml", schedule={"entries": {"a": {"every": 1, "command": "nope"}}})
    shown = riptide_on_valkey("worker")
    assert (shown.code, shown.err.count("\n")) == (2, 1)
    assert "schedule.entries.a.command: no command is of type 'nope'" in shown.err


def test_commands_and_their_schemas(riptide_on_valkey: Cli) -> None:
    rows = {row["type"]: row for row in riptide_on_valkey("commands", "list", "--json").json}
    assert rows["effect"]["module"] == "tests.support.commands"
    assert rows["effect"]["meaning"].startswith("Adds its id to a set")
    warm = rows["warm"]
    assert warm.pop("meaning").startswith("Load entries of a namespace through a loader")
    assert warm == {
        "type": "warm",
        "version": 1,
        "tenant_required": True,
        "administrative": False,
        "module": "commands.warm",
    }
    schema = riptide_on_valkey("commands", "schema", "effect").json
    assert schema["$id"] == "effect.v1.json"
    assert "into" in schema["required"]
    assert "effect" in riptide_on_valkey("commands", "list").out
    unknown = riptide_on_valkey("commands", "schema", "nothing")
    assert unknown.code == 2
    assert "known are bulk, checkpoint" in unknown.err
