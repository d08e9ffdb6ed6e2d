"""`riptide config check | show | schema`."""

import json
from pathlib import Path

from typer.testing import CliRunner

from riptide.cli.config import app
from riptide.config.catalog import catalog
from riptide.config.describe import json_schema

from .conftest import Write


def test_check_says_what_is_right(write: Write) -> None:
    path = write("cache_ttl: 5\n")
    result = CliRunner().invoke(app, ["check", str(path)], env={"POOL_MIN_SIZE": "3", "LOG_LEVEL": "info"})
    assert result.exit_code == 0
    first, *notes = result.stdout.splitlines()
    assert first.startswith(
        f"{path} is valid: of {len(catalog())} settings, 1 from the file, 1 from variables"
    )
    assert notes[0] == f"note: {path}:1: cache_ttl is an old name; write cache.default_ttl_seconds"
    assert notes[1].startswith("note: env POOL_MIN_SIZE: pool.min_size has no meaning here: ")


def test_bad_configuration_ends_with_2_and_says_why_on_stderr(write: Write) -> None:
    path = write("redis: {pool_size: x}")
    for command in ("check", "show"):
        result = CliRunner().invoke(app, [command, str(path)], env={"LOG_LEVEL": "loud"})
        assert result.exit_code == 2
        assert result.stdout == ""
        assert f"{path}:1: redis.pool_size: 'x'" in result.stderr
        assert "env LOG_LEVEL: log.level: 'loud'" in result.stderr


def test_check_looks_at_the_plans_too(write: Write, tmp_path: Path) -> None:
    plans = tmp_path / "plans.yml"
    plans.write_text("plans:\n  free: {name: Free, currency: EUR, base_fee: 1.0000001}\n")
    path = write(f"tenant: {{plans_file: {plans}}}")
    result = CliRunner().invoke(app, ["check", str(path)])
    assert result.exit_code == 2
    assert f"{plans}:2: plans.free.base_fee: write an amount" in result.stderr


def test_check_looks_at_the_master_key_too(write: Write, tmp_path: Path) -> None:
    missing = tmp_path / "key"
    for text, says in (
        (f"security: {{encryption_key_file: {missing}}}", f"{missing} cannot be read: No such file"),
        ("security: {encryption_key: 'sesame'}", "key 1 (not shown) is none"),
        ("security: {enable_encryption_at_rest: true}", "there is no master key"),
    ):
        result = CliRunner().invoke(app, ["check", str(write(text))])
        assert result.exit_code == 2
        assert says in result.stderr
        assert "sesame" not in result.output


def test_show_lists_every_setting_with_its_source(write: Write) -> None:
    path = write("cache: {warm_list: ['[bold]x']}")
    result = CliRunner().invoke(app, ["show", str(path), "--json"], env={"REDIS_POOL_SIZE": "3"})
    shown = json.loads(result.stdout)
    assert list(shown) == list(catalog())
    assert shown["redis.pool_size"] == {"value": 3, "source": "env REDIS_POOL_SIZE"}
    assert shown["cache.warm_list"] == {"value": ["[bold]x"], "source": f"{path}:1"}
    assert shown["log.levels"] == {"value": {}, "source": "default"}


def test_show_prints_a_table_of_one_section(write: Write) -> None:
    path = write("log: {levels: {'[bold]x': info}}")
    result = CliRunner().invoke(app, ["show", str(path), "--section", "log"], env={"COLUMNS": "200"})
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["setting", "value", "source"]
    assert lines[1] == ["log.level", "info", "default"]
    assert lines[3] == ["log.levels", '{"[bold]x":', '"info"}', f"{path}:1"]
    assert len(lines) == 4


def test_show_knows_its_sections() -> None:
    result = CliRunner().invoke(app, ["show", "--section", "lgo"])
    assert result.exit_code == 2
    assert "lgo" in result.stderr


def test_schema_prints_the_schema() -> None:
    result = CliRunner().invoke(app, ["schema"])
    assert result.exit_code == 0
    assert result.stdout == json_schema()
