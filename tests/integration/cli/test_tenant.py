"""`riptide tenant` and `riptide audit`."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from riptide.cli import common
from riptide.cli.main import main
from riptide.config import load
from tests.integration.cli.conftest import Cli, Shown
from tests.support.deployment import Deployment
from tests.support.workers import environment, write_config

Run = Callable[..., Shown]


@pytest.fixture
def cli(
    on_valkey: Deployment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """The command line in this process: a process for each of its calls would take most of the time."""
    config = write_config(tmp_path / "riptide.yml", tenant={"enabled": True, "max_tenants": 3})
    for name, value in environment(on_valkey, config).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(common, "console", Console(width=250))
    monkeypatch.setattr(common, "settings", lambda: load().settings)  # logging stays as it is

    def run(*arguments: str) -> Shown:
        monkeypatch.setattr(sys, "argv", ["riptide", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Shown(int(ended.value.code or 0), printed.out, printed.err)

    return run


def test_it_is_a_program(riptide_on_valkey: Cli, tmp_path: Path) -> None:
    write_config(tmp_path / "riptide.yml", tenant={"enabled": True})
    assert riptide_on_valkey("tenant", "create", "acme").out == "acme\n"
    audit = riptide_on_valkey("audit", "acme", "--json").json["records"]
    assert [(one["operation"], one["actor"].partition(":")[0]) for one in audit] == [("create", "cli")]


def test_a_tenants_life(cli: Run, on_valkey: Deployment) -> None:
    made = cli(
        *("tenant", "create", "acme", "--plan", "basic", "--name", "Acme [x]", "--owner-name", "Ada"),
        *("--owner-email", "ada@example.org", "--organization", "Sea", "--quota", "memory_bytes=200MiB"),
        *("--quota", "cache_entries=unlimited", "--setting", "limit=5", "--setting", "theme=dark", "--json"),
    ).json
    assert made["owner"] == {
        "id": "",
        "name": "Ada",
        "email": "ada@example.org",
        "organization": "Sea",
    }
    assert made["limits"]["memory_bytes"] == 200 * 1024**2
    assert made["overrides"] == {"cache_entries": -1, "memory_bytes": 200 * 1024**2}
    assert made["settings"] == {"limit": 5, "theme": "dark"}
    assert cli("tenant", "create").out.startswith("t-")
    listed = cli("tenant", "list", "--json").json
    assert [one["id"] for one in listed["tenants"]][:2] == ["acme", "default"]
    assert listed["cursor"] is None
    page = cli("tenant", "list", "--limit", "1")
    assert "Acme [x]" in page.out
    assert "--after acme" in page.out
    assert "more" not in cli("tenant", "list", "--after", "acme").out

    assert cli("tenant", "suspend", "acme", "--json").json["status"] == "suspended"
    assert cli("tenant", "suspend", "acme", "--why", "unpaid").out == "acme is suspended\n"
    shown = cli("tenant", "show", "acme").out
    for part in ("suspended", "unpaid", "email: ada@example.org", "cache_entries: unlimited", "209,715,200"):
        assert part in shown
    assert cli("tenant", "resume", "acme").out == "acme is active\n"
    changed = cli(
        *(
            "tenant",
            "update",
            "acme",
            "--plan",
            "free",
            "--quota",
            "memory_bytes=plan",
            "--setting",
            "theme=",
        ),
        *("--revision", "4", "--json"),
    ).json
    assert (changed["plan"], changed["limits"], changed["settings"]) == (
        "free",
        {"cache_entries": -1},
        {"limit": 5},
    )
    stale = cli("tenant", "update", "acme", "--name", "x", "--revision", "3")
    assert (stale.code, "has revision 5 by now" in stale.err) == (1, True)

    assert "Delete the tenant acme and all it has for good?" in cli("tenant", "delete", "acme").out
    assert cli("tenant", "show", "acme", "--json").json["status"] == "active"
    ref = cli("tenant", "delete", "acme", "--yes").out.strip()
    assert ref == cli("tenant", "delete", "acme", "--yes", "--json").json["ref"]
    ((partition, entry_id, _),) = on_valkey.entries("purge_tenant")
    assert ref == f"purge_tenant.{partition}.{entry_id}"
    again = cli("tenant", "disable", "acme", "--yes")
    assert again.out == "acme is disabled\n"


def test_policies(cli: Run) -> None:
    cli("tenant", "create", "acme")
    assert "no rules, so it may do everything" in cli("tenant", "policies", "list", "acme").out
    assert cli("tenant", "policies", "check", "acme", "pages:1", "write").code == 0
    assert "pages:*" in cli("tenant", "policies", "allow", "acme", "pages:*", "read").out
    rules = cli("tenant", "policies", "list", "acme", "--json").json
    assert rules == [{"resource": "pages:*", "action": "read"}]
    assert cli("tenant", "policies", "check", "acme", "pages:1", "read", "--json").json == {"allowed": True}
    denied = cli("tenant", "policies", "check", "acme", "pages:1", "write")
    assert (denied.code, denied.out) == (1, "denied\n")
    assert "everything" in cli("tenant", "policies", "disallow", "acme", "pages:*", "read").out


def test_the_audit_trail(cli: Run) -> None:
    assert cli("audit").out == "no records\n"
    cli("tenant", "create", "acme")
    cli("tenant", "suspend", "acme", "--why", "[late]")
    cli("tenant", "policies", "allow", "acme", "*", "read")
    shown = cli("audit", "acme").out
    for part in ("suspend", "cli:", "[late]", "allow policies", "create"):
        assert part in shown
    page = cli("audit", "acme", "--limit", "1", "--json").json
    assert [one["operation"] for one in page["records"]] == ["allow"]
    rest = cli("audit", "acme", "--cursor", page["cursor"], "--json").json
    assert [one["operation"] for one in rest["records"]] == ["suspend", "create"]
    assert "--cursor" in cli("audit", "acme", "--limit", "1").out
    assert len(cli("audit", "acme", "--since", "1h", "--operation", "suspend", "--json").json["records"]) == 1
    assert cli("audit", "acme", "--until", "2020-01-01").out == "no records\n"
    assert "is too long ago" in cli("audit", "acme", "--since", "100000d").err
    assert cli("audit", "acme", "--result", "good").code == 2
    assert [one["operation"] for one in cli("audit", "--json").json["records"]] == ["create"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("show nobody", 1, "there is no tenant nobody; 'riptide tenant list' shows those that are"),
        ("create a.b", 2, "tenant id 'a.b' is not valid"),
        ("create default", 1, "the tenant default always exists"),
        ("create a --plan gold", 2, "there is no plan 'gold'; known are free, basic"),
        ("create a --quota memory_bytes", 2, "--quota: 'memory_bytes' is not of the form NAME=VALUE"),
        ("create a --quota memory_bytes=-5", 2, "the limit of memory_bytes is a whole number from 0"),
        ("create a --quota memory_bytes=1.5", 2, "--quota: '1.5' is no limit"),
        ("create a --quota memory_bytes=1PB", 2, "--quota: '1PB' is no limit"),
        ("create a --quota memory=5", 2, "there is no resource 'memory'; known are memory_bytes"),
        ("create a --shards 3", 2, "shards is one of 1, 2, 4, 8, 16"),
        ("create a --owner-email x", 2, "owner.email"),
        ("delete nobody --yes", 1, "there is no tenant nobody"),
        ("delete default --yes", 2, "the tenant default has no record"),
        ("policies allow a a*b read", 2, "resource 'a*b' is no pattern"),
    ],
)
def test_what_cannot_be_is_told(cli: Run, arguments: str, code: int, message: str) -> None:
    shown = cli("tenant", *arguments.split())
    assert shown.code == code
    assert message in shown.err
    assert shown.err.count("\n") <= 2, "what is wrong, and what to do"


def test_no_more_than_there_may_be_and_none_without_multi_tenancy(cli: Run, tmp_path: Path) -> None:
    for name in "abc":
        assert cli("tenant", "create", name).code == 0
    full = cli("tenant", "create", "d")
    assert (full.code, "tenant.max_tenants allows no more" in full.err) == (1, True)
    write_config(tmp_path / "riptide.yml", tenant={"enabled": False})
    off = cli("tenant", "create", "d")
    assert (off.code, "multi-tenancy is off" in off.err) == (1, True)
    assert "default" in cli("tenant", "list").out


def test_a_wrong_plans_file_is_told_with_its_line(cli: Run, tmp_path: Path) -> None:
    plans = tmp_path / "plans.yml"
    plans.write_text(yaml.safe_dump({"plans": {"free": {"name": "Free", "currency": "EUR", "base_fee": -1}}}))
    write_config(tmp_path / "riptide.yml", tenant={"enabled": True, "plans_file": str(plans)})
    shown = cli("tenant", "create", "acme")
    assert shown.code == 2
    assert f"{plans}:3: plans.free.base_fee: write an amount" in shown.err


def test_export(cli: Run, tmp_path: Path) -> None:
    cli("tenant", "create", "acme", "--plan", "basic")
    rows = [json.loads(line) for line in cli("tenant", "export", "acme", "--entries").out.splitlines()]
    assert [row["kind"] for row in rows if row["kind"] != "usage"] == ["tenant", "audit"]
    file = tmp_path / "acme.jsonl"
    assert f"{len(rows)} rows in" in cli("tenant", "export", "acme", "--output", str(file)).out
    assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == rows
    assert file.stat().st_mode & 0o777 == 0o600, "it is not for everybody"
    before = file.read_bytes()
    missing = cli("tenant", "export", "nobody", "--output", str(file))
    assert missing.code == 1
    assert "nobody" in missing.err
    assert file.read_bytes() == before
    assert not file.with_name("acme.jsonl.part").exists()
    assert cli("tenant", "export", "acme", "--output", str(tmp_path / "no" / "file")).code == 2
