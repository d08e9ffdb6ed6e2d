"""`riptide access`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from riptide.api.access.text import read_text
from riptide.cli.access import app
from tests.integration.cli.conftest import Cli
from tests.support.deployment import Deployment
from tests.support.workers import environment, write_config


def test_a_key_by_the_command_line(riptide_on_valkey: Cli, tmp_path: Path) -> None:
    """Standard output has the secret alone, once."""
    cli = riptide_on_valkey
    shown = cli(
        "access", "create", "night job", "--role", "operator", "--expires", "90d", "--scope", "cache:read"
    )
    text = shown.out.strip()
    found = read_text(text)
    assert found is not None
    assert "shown this once" in shown.err
    assert text not in shown.err
    (listed,) = cli("access", "list", "--json").json["keys"]
    assert (listed["id"], listed["role"], listed["scopes"]) == (found.id, "operator", ["cache:read"])
    assert listed["expires_ms"] - listed["made_ms"] == 90 * 86_400_000


@pytest.fixture
def environ(on_valkey: Deployment, tmp_path: Path) -> dict[str, str]:
    config = write_config(
        tmp_path / "riptide.yml", tenant={"enabled": False}, api={"admin_key": "${FIRST:-}"}
    )
    return environment(on_valkey, config) | {"COLUMNS": "250"}


def test_from_the_first_key_to_a_revoked_one(environ: dict[str, str]) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, arguments, env=environ, catch_exceptions=False)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    made = run("first").strip()
    first = read_text(made)
    assert first is not None
    assert run("first") == ""
    shop = read_text(run("create", "shop", "--tenant", "default").strip())
    assert shop is not None
    assert shop.tenant == "default"
    rotated = run("rotate", shop.id, "--overlap", "0s").strip()
    table, about = run("list", "default"), run("show", shop.id)
    assert shop.id in table
    assert "cli:" in about
    assert run("revoke", shop.id, "--yes") == f"{shop.id} is revoked\n"
    assert '"state": "revoked"' in run("show", shop.id, "--json")
    assert rotated[-60:] not in table + about


def test_bad_input(environ: dict[str, str]) -> None:
    runner = CliRunner()
    given = runner.invoke(app, ["generate"]).stdout.strip()
    assert read_text(given) is not None
    for arguments, says in (
        (("create", "x", "--role", "root"), "role"),
        (("create", "x", "--role", "tenant"), "names its tenant"),
        (("create", "x", "--tenant", "acme"), "multi-tenancy is off"),
        (("create", "x", "--scope", "keys:write"), "scope"),
        (("show", "nothing"), "no id of an API key"),
        (("show", given), "(not shown)"),
        (("show", "0123456789ab"), "there is no API key"),
        (("rotate", "0123456789ab", "--overlap", "1.5s"), "whole number"),
    ):
        error = runner.invoke(app, arguments, env=environ).exception
        assert says in str(error)
        assert given not in str(error)
    wrong = runner.invoke(app, ["first"], env=environ | {"FIRST": "hunter2hunter2"}).exception
    assert "riptide access generate" in str(wrong)
    assert "hunter2" not in str(wrong)
