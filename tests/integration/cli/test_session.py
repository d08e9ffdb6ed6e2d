"""`riptide session` and `riptide state spill`."""

from pathlib import Path

import riptide
from tests.integration.cli.conftest import Cli
from tests.support.deployment import Deployment
from tests.support.workers import WorkerProcess, write_config

ON = {"enabled": True}


def test_sessions_are_listed_shown_and_ended(
    riptide_on_valkey: Cli, on_valkey: Deployment, tmp_path: Path
) -> None:
    cli = riptide_on_valkey
    write_config(tmp_path / "riptide.yml", tenant=ON)
    with riptide.connect(config=on_valkey.settings(tenant=ON)) as rt:
        rt.tenants.create("acme")
        ada = rt.sessions.create("ada", {"cart": [1]}, tenant="acme", client_ip="192.0.2.7")
        rt.sessions.create("bob\x1b[31m", tenant="acme", user_agent="[/red] :smile:")
    assert cli("session", "list").out == "there are no sessions\n"
    listed = cli("session", "list", "--tenant", "acme", "--json").json
    assert {one["user_id"] for one in listed} == {"ada", "bob\x1b[31m"}
    table = cli("session", "list", "--tenant", "acme", extra=[("COLUMNS", "60")])
    assert ada.id in table.out
    assert "192.0.2.7" in table.out
    assert "[/red] :smile:" in table.out
    assert "\x1b[31m" not in table.out
    assert "there are more" in cli("session", "list", "--tenant", "acme", "--limit", "1", "--json").err
    (one,) = cli("session", "list", "--tenant", "acme", "--user", "ada", "--json").json
    assert one["id"] == ada.id
    shown = cli("session", "show", ada.id, "--tenant", "acme", "--json").json
    assert (shown["data"], shown["client_ip"]) == ({"cart": [1]}, "192.0.2.7")
    assert '"cart"' in cli("session", "show", ada.id, "--tenant", "acme").out
    refused = cli("session", "terminate", ada.id, "--tenant", "acme", stdin="n\n")
    assert refused.code == 1
    assert cli("session", "terminate", ada.id, "--tenant", "acme", "--yes").code == 0
    gone = cli("session", "show", ada.id, "--tenant", "acme")
    assert gone.code == 1
    assert "no such session" in gone.err
    assert cli("session", "show", "~account").code == 2


def test_spilling_by_hand(riptide_on_valkey: Cli, on_valkey: Deployment, tmp_path: Path) -> None:
    cli = riptide_on_valkey
    with riptide.connect(config=on_valkey.settings(blobs={"url": str(tmp_path / "blobs")})) as rt:
        for _ in range(4):
            rt.sessions.create("ada", {"x": "x" * 900})
        with WorkerProcess(on_valkey, tmp_path, commands=["spill"]):
            figures = cli("state", "spill", "--now", "--keep", "1KiB", "--json").json["sessions"]
            refused = cli("state", "spill", "--now", "--what", "entries")
            assert "cache.enable_spill is off" in refused.err
        assert (figures["sessions"], figures["spilled"], figures["total_spilled"]) == (4, 4, 4)
        assert figures["storage_bytes"] > 3600
        assert "avg_spill_time_ms " in cli("state", "spill").out
        assert all(rt.sessions.get(one.id) for one in rt.sessions.list())
    assert cli("state", "spill", "--keep", "1").code == 2
    for wrong in ("much", "-5"):
        assert cli("state", "spill", "--now", "--keep", wrong).code == 2
