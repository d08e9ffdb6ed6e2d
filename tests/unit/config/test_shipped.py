"""The files that the repository ships: every setting is there, explained, and current."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from riptide.config import Settings, load
from riptide.config.catalog import catalog
from riptide.config.describe import json_schema
from riptide.errors import ConfigError

from .conftest import Write

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "config/persistence.yml"
SCHEMA = ROOT / "config/schema.json"

with_tenants = Settings.model_validate({"tenant": {"enabled": True}})


def test_the_shipped_file_is_the_defaults_with_multi_tenancy() -> None:
    loaded = load(SHIPPED, {})
    assert loaded.settings == with_tenants
    assert loaded.notices == []


def test_it_holds_every_setting() -> None:
    assert "default" not in load(SHIPPED, {}).sources.values()


def test_it_explains_every_setting() -> None:
    comments = " ".join(line.strip().removeprefix("#").strip() for line in SHIPPED.read_text().splitlines())
    for setting in catalog().values():
        assert setting.meaning in comments, setting.path
        assert not setting.variables or f"[{', '.join(setting.variables)}]" in comments, setting.path


def test_the_schema_is_current() -> None:
    assert SCHEMA.read_text() == json_schema(), "run: riptide config schema > config/schema.json"
    assert SHIPPED.read_text().startswith("# yaml-language-server: $schema=schema.json\n")


@pytest.mark.parametrize(
    "text",
    [
        SHIPPED.read_text(),
        "redis: {pool_size: 3}",
        "cache: {max_memory_bytes: 3 GiB, lease_seconds: '${X}', warm_list: [a]}",
        "redis:\nlog: {levels: {a: info}}",
    ],
)
def test_editors_accept_what_loads(write: Write, text: str) -> None:
    load(write(text), {"X": "1"})
    jsonschema.validate(yaml.safe_load(text), json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "redis: {poolsize: 3}", "redis: {pool_size: ten}", "cache: {max_memory_bytes: 3 GB!}", "nothing: 1",
        "persistence: {cache: {eviction_policy: best}}", "workers: {handler_timeouts: {warm: 0}}",
    ],
)  # fmt: skip
def test_editors_refuse_what_does_not_load(write: Write, text: str) -> None:
    with pytest.raises(ConfigError):
        load(write(text), {})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), json.loads(SCHEMA.read_text()))
