"""`riptide quota show` and `check`."""

from pathlib import Path

from typer.testing import CliRunner

from riptide.cli.main import app
from tests.integration.cli.conftest import Cli, Shown
from tests.support.deployment import Deployment
from tests.support.usage import amid_an_hour
from tests.support.workers import environment, write_config


def test_quotas_are_shown_and_checked(on_valkey: Deployment, tmp_path: Path) -> None:
    """In this process: with one for each of its calls a minute may not be enough for all of them."""
    amid_an_hour()  # and so a month
    config = write_config(tmp_path / "riptide.yml", tenant={"enabled": True})
    variables = environment(on_valkey, config) | {"COLUMNS": "250"}

    def cli(*arguments: str) -> Shown:
        told = CliRunner().invoke(app, arguments, env=variables)
        return Shown(told.exit_code, told.stdout, told.stderr)

    cli("tenant", "create", "acme", "--quota", "operations_per_minute=5")
    taken = cli("quota", "check", "acme", "operations_per_minute=3", "data_transfer_bytes=2KiB")
    assert (taken.code, taken.out.splitlines()[-1]) == (0, "allowed")
    refused = cli("quota", "check", "acme", "operations_per_minute=3")
    assert refused.code == 1
    assert refused.out.splitlines()[0] == "operations_per_minute: 5, 3, 2 (limit, used, remaining)"
    assert "refused: not enough operations_per_minute; it would fit in " in refused.out
    told = cli("quota", "check", "acme", "operations_per_minute=3", "--json").json
    assert (told["allowed"], told["violated"]) == (False, ["operations_per_minute"])
    assert told["resources"]["operations_per_minute"]["remaining"] == 2
    shown = cli("quota", "show", "acme", "--json").json
    assert {name: (one["used"], one["source"]) for name, one in shown.items() if one["used"]} == {
        "operations_per_minute": (3, "override"),
        "data_transfer_bytes": (2048, "default"),
    }
    table = cli("quota", "show", "acme").out
    assert "Quotas of acme" in table
    assert "unlimited" in table


def test_what_cannot_be_is_refused(riptide_on_valkey: Cli) -> None:
    cli = riptide_on_valkey
    for amount in ("operations_per_minute", "operations_per_minute=-1", "nothing=1", "cache_entries=0.5"):
        shown = cli("quota", "check", "default", amount)
        assert shown.code == 2, amount
        assert shown.err.startswith("error: "), shown.err
    assert cli("quota", "check", "acme", "operations_per_minute=1").code == 1  # there are no other tenants
