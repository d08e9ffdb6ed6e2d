"""No secret ever appears: not in repr, str, dumps, errors, notices or what the commands print."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from riptide.cli.config import app
from riptide.config import RedisSettings, Settings, load
from riptide.config.catalog import catalog
from riptide.errors import ConfigError

from .conftest import Refused, Write

SECRET = "hunter2"
GIVEN = {"REDIS_URL": f"redis://u:{SECRET}@h:1/0", "SECURITY_ENCRYPTION_KEY": SECRET, "PW": SECRET}


def test_what_is_loaded_can_be_printed(write: Write) -> None:
    loaded = load(write("redis: {password: '${PW}'}"), GIVEN)
    settings = loaded.settings
    assert settings.redis.password is not None
    assert settings.redis.password.get_secret_value() == SECRET
    for text in (
        repr(loaded),
        str(settings),
        settings.model_dump_json(),
        repr(settings.redis.url),
        f"{settings.redis.url}",
    ):
        assert SECRET not in text
    assert str(settings.redis.url) == "redis://u:***@h:1/0"


def test_which_settings_are_secret() -> None:
    secret = [path for path, setting in catalog().items() if setting.secret]
    assert secret == [
        "redis.url",
        "redis.password",
        "blobs.s3_secret_access_key",
        "api.admin_key",
        "webhooks.secret",
        "security.encryption_key",
    ]


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_show_masks(write: Write, option: list[str]) -> None:
    path = write("redis: {password: '${PW}'}")
    result = CliRunner().invoke(app, ["show", str(path), *option], env=GIVEN)
    assert result.exit_code == 0
    assert SECRET not in result.output
    assert "redis://u:***@h:1/0" in result.output
    if option:
        assert json.loads(result.output)["redis.password"] == {"value": "**********", "source": f"{path}:1"}


@pytest.mark.parametrize(
    "text",
    [
        "redis: {password: &hunter2 }",
        "redis: {password: *hunter2 }",
        "redis: {password: !hunter2 x}",
        "redis: {password: !hunter2!x y}",
        "redis: {password: @hunter2}",
        "redis: {password: 'hunter2}",
        "redis: {password: hunter2, password: hunter2}",
        "redis: {password: [hunter2]}",
        "redis: {password: {a: hunter2}}",
        "redis: {url: hunter2}",
        "redis: {url: 'http://u:hunter2@h'}",
        "redis: {url: 'redis://u:hunter2@h:port'}",
        "redis_url: hunter2",
        "redis: {passwrd: hunter2}",
        "redis: {pool_size: '${PW}'}",
        "cache: {compression_algorithm: '${PW}'}",
        "redis: {password: '${PW'}",
        "log: {levels: {a: '${PW}'}}",
    ],
)
def test_errors_do_not_repeat_it(refused: Refused, text: str) -> None:
    assert SECRET not in refused(text, **GIVEN)


def test_errors_in_code_do_not_repeat_it() -> None:
    for data in ({"url": f"http://u:{SECRET}@h"}, {"password": [SECRET]}, {"pool_size": SECRET}):
        with pytest.raises(ValidationError) as raised:
            RedisSettings.model_validate(data)
        assert SECRET not in str(raised.value)
    with pytest.raises(ValidationError) as raised:
        Settings.model_validate({"redis": {"password": SECRET}, "workers": {"lease_seconds": 0.1}})
    assert SECRET not in str(raised.value)


def test_the_cause_of_an_error_is_cut_off(write: Write, tmp_path: Path) -> None:
    """A traceback would print the chained YAML error, and with it the line."""
    with pytest.raises(ConfigError) as raised:
        load(write(f"redis: {{password: '{SECRET}}}"), {})
    assert raised.value.__suppress_context__


def test_disagreeing_secrets(refused: Refused) -> None:
    assert SECRET not in refused(f"redis_password: {SECRET}\nredis: {{password: {SECRET}x}}")
