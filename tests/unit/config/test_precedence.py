"""Which file is read, what wins over what, and what must agree."""

from pathlib import Path

import pytest

from riptide.config import load
from riptide.errors import ConfigError

from .conftest import Refused, Write


def test_environment_wins_over_file_and_file_over_defaults(write: Write) -> None:
    path = write("redis:\n  pool_size: 20\n  retry_attempts: 4\n")
    loaded = load(path, {"REDIS_POOL_SIZE": "30"})
    assert loaded.settings.redis.pool_size == 30
    assert loaded.sources["redis.pool_size"] == "env REDIS_POOL_SIZE"
    assert loaded.settings.redis.retry_attempts == 4
    assert loaded.sources["redis.retry_attempts"] == f"{path}:3"
    assert loaded.settings.redis.retry_delay_ms == 100
    assert loaded.sources["redis.retry_delay_ms"] == "default"


def test_the_file_is_named_by_argument_then_variable_then_habit(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("argument", "variable"):
        (tmp_path / name).write_text(f"cache: {{version: {name}}}")
    (tmp_path / "config").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load(environ={}).settings.cache.version == "1"
    Path("config/persistence.yml").write_text("cache: {version: habit}", encoding="utf-8")
    assert load(environ={}).settings.cache.version == "habit"
    assert load(environ={"RIPTIDE_CONFIG": "variable"}).settings.cache.version == "variable"
    assert load("argument", {"RIPTIDE_CONFIG": "variable"}).settings.cache.version == "argument"


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yml: cannot be read: No such file"):
        load(tmp_path / "absent.yml", {})
    with pytest.raises(ConfigError, match=r"env RIPTIDE_CONFIG: there is no file absent\.yml"):
        load(environ={"RIPTIDE_CONFIG": "absent.yml"})


def test_two_variables_of_one_setting_must_agree(refused: Refused) -> None:
    message = refused(ENABLE_COMPRESSION="true", CACHE_ENABLE_COMPRESSION="false")
    assert message == (
        "the configuration has one error:\n"
        "  env CACHE_ENABLE_COMPRESSION: disagrees with env ENABLE_COMPRESSION; "
        "both mean cache.enable_compression, so keep one"
    )


def test_two_names_that_say_the_same_agree(write: Write) -> None:
    loaded = load(environ={"ENABLE_COMPRESSION": "false", "CACHE_ENABLE_COMPRESSION": "0"})
    assert loaded.settings.cache.enable_compression is False
    path = write("cache_ttl: 60\ncache:\n  default_ttl_seconds: '60'\n")
    assert load(path, {}).settings.cache.default_ttl_seconds == 60


def test_old_and_new_name_in_one_file_must_agree(refused: Refused) -> None:
    message = refused("cache_ttl: 60\ncache:\n  default_ttl_seconds: 61\n")
    assert (
        "persistence.yml:3: disagrees with persistence.yml:1; both mean cache.default_ttl_seconds" in message
    )


def test_a_variable_may_contradict_the_file(write: Write) -> None:
    path = write("cache: {enable_compression: true}")
    assert load(path, {"ENABLE_COMPRESSION": "false"}).settings.cache.enable_compression is False


def test_a_wrong_value_is_an_error_even_where_a_variable_wins(refused: Refused) -> None:
    assert "persistence.yml:1: redis.pool_size: 'ten'" in refused(
        "redis: {pool_size: ten}", REDIS_POOL_SIZE="3"
    )
