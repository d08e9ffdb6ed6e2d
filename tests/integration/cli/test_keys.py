"""`riptide keys`, and what `riptide tenant` says of encryption."""

from pathlib import Path

from riptide.tenants.keyring.master import parse_master_keys
from tests.integration.cli.conftest import Cli
from tests.support.workers import write_config


def test_from_a_master_key_to_a_rotated_tenant(riptide_on_valkey: Cli, tmp_path: Path) -> None:
    cli = riptide_on_valkey
    write_config(
        tmp_path / "riptide.yml",
        tenant={"enabled": True, "enable_encryption": True},
        blobs={"url": str(tmp_path / "blobs")},
    )
    refused = cli("tenant", "create", "acme", "--encrypted")
    assert refused.code == 2
    assert "there is no master key; set security.encryption_key" in refused.err
    made = cli("keys", "generate", "--version", "3").out.strip()
    assert parse_master_keys(made, "here").versions == [3]
    key = [("SECURITY_ENCRYPTION_KEY", made)]
    assert cli("tenant", "create", "acme", "--encrypted", extra=key).code == 0
    cli("tenant", "create", "globex", extra=key)
    assert cli("tenant", "show", "acme", "--json").json["encrypted"] is True
    told = cli("keys", "status", "--json", extra=key).json
    assert told["master_versions"] == [3]
    keys = {one["tenant"]: one["key"] for one in told["tenants"]}
    assert {tenant: key > 0 for tenant, key in keys.items()} == {
        "acme": True,
        "default": False,
        "globex": False,
    }
    (rotated,) = cli("keys", "rotate", "--all", "--json", extra=key).json
    assert (rotated["tenant"], rotated["keys"], rotated["masters"]) == ("acme", 2, {"3": 2})
    assert rotated["key"] != keys["acme"]
    table = cli("keys", "status", extra=key).out
    assert "Master key here: version 3" in table
    assert "3: 2" in table
    shown = cli("tenant", "update", "acme", "--not-encrypted", "--json", extra=key).json
    assert (shown["encrypted"], shown["settings"]) == (False, {"encryption_enabled": False})
    for text in (cli("config", "show", extra=key).out, table):
        assert made[2:] not in text


def test_bad_input(riptide_on_valkey: Cli, tmp_path: Path) -> None:
    cli = riptide_on_valkey
    write_config(tmp_path / "riptide.yml", tenant={"enabled": True})
    for arguments, says in (
        (("rotate",), "name a tenant, or --all"),
        (("rotate", "acme", "--all"), "name a tenant, or --all"),
        (("rotate", "acme"), "no tenant acme"),
        (("rotate", "default"), "switch security.enable_encryption_at_rest on"),
        (("status", "a b"), "tenant"),
    ):
        shown = cli("keys", *arguments)
        assert shown.code in {1, 2}, arguments
        assert says in shown.err, shown.err
    shown = cli("keys", "status", extra=[("SECURITY_ENCRYPTION_KEY", "c2hvcnQ=")])
    assert shown.code == 2
    assert "security.encryption_key: key 1 (not shown) is none" in shown.err
    assert "c2hvcnQ" not in shown.err
