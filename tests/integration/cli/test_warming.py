"""`riptide cache popular` and `riptide cache warm`."""

import gzip
import json
from pathlib import Path
from typing import Any

import riptide
from tests.integration.cli.conftest import Cli
from tests.support.access import add, drain
from tests.support.deployment import Deployment
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess

LINE = '1.1.1.1 - - [21/Nov/2026:12:00:00 +0000] "GET {} HTTP/1.1" 200 5\n'
BASE = "https://x.example"


async def test_what_is_read_most(on_valkey: Deployment, riptide_on_valkey: Cli) -> None:
    add(on_valkey, "default", keys={"often": 1000, "slow": 20}, load_us={"slow": 5_000_000, "often": 10})
    add(on_valkey, "default", keys={"page": 7}, namespace="pages")
    await drain(on_valkey, on_valkey.settings())
    rows = riptide_on_valkey("cache", "popular", "--json").json
    assert [(row["namespace"], row["key"], row["load_us"]) for row in rows] == [
        ("default", "slow", 5_000_000),
        ("pages", "page", None),
        ("default", "often", 10),
    ]
    shown = riptide_on_valkey("cache", "popular", "--namespace", "default", "--top", "1").out
    assert "5,000,000" in shown
    assert "often" not in shown
    add(on_valkey, "default", keys={"[/red]": 5})
    await drain(on_valkey, on_valkey.settings())
    assert "[/red]" in riptide_on_valkey("cache", "popular").out


def bodies(deployment: Deployment) -> list[dict[str, object]]:
    return [json.loads(fields[b"body"]) for _, _, fields in deployment.entries("warm")]


async def test_an_access_log_of_one_s_own(
    on_valkey: Deployment, riptide_on_valkey: Cli, tmp_path: Path
) -> None:
    add(
        on_valkey,
        "default",
        keys={f"{BASE}/slow": 1, f"{BASE}/b": 1},
        load_us={f"{BASE}/slow": 10**6, f"{BASE}/b": 9},
    )
    await drain(on_valkey, on_valkey.settings())
    log = tmp_path / "access.log.1"
    text = "".join(LINE.format(f"/{name}") for name in ["a", "b", "b", "slow", "d"]) + "nonsense\n"
    log.write_bytes(gzip.compress(text.encode()))
    warm = ("cache", "warm", "--access-log", str(log), "--top", "3")
    shown = riptide_on_valkey(*warm, "--base-url", BASE, "--namespace", "default", "--json")
    assert shown.json["access_log"] == {
        "lines": 6,
        "urls": 4,
        "malformed": 1,
        "skipped": 0,
        "unplaced": 0,
        "damaged": [],
    }
    [body] = bodies(on_valkey)
    assert body["keys"] == [f"{BASE}/{name}" for name in ("slow", "a", "d")]
    assert len(shown.json["refs"]) == 1
    told = riptide_on_valkey(*warm)
    assert told.out == "access log: 6 lines, 0 urls, 1 malformed, 0 skipped, 5 unplaced\n"
    assert "need --base-url" in told.err
    large = tmp_path / "large.log"
    large.write_text("".join(LINE.format(f"/{number}") for number in range(12_000)))
    shown = riptide_on_valkey(
        "cache", "warm", "--access-log", str(large), "--base-url", BASE, "--top", "11000", "--json"
    )
    assert len(shown.json["refs"]) == 2


def test_keys_sources_and_their_end(on_valkey: Deployment, riptide_on_valkey: Cli, tmp_path: Path) -> None:
    several: list[list[str | bytes]] = [
        [],
        ["a", "--source", "popular"],
        ["--source", "nothing"],
        ["a", "--namespace", "../a"],
        ["a", "--loader", ""],
        [""],
        [b"\xff"],
    ]
    for wrong in several:
        assert riptide_on_valkey("cache", "warm", *wrong).code == 2
    assert riptide_on_valkey("cache", "warm", "--access-log", str(tmp_path / "none")).code == 2
    modules = {"modules": ["tests.support.shop"]}
    with WorkerProcess(on_valkey, tmp_path / "worker", commands=["warm"], workers=modules):
        shown = riptide_on_valkey("cache", "warm", "--source", "all", "--wait", "60", "--json")
        assert shown.code == 0
        [command] = shown.json["commands"]
        assert command["value"]["sources"] == {"list": 0, "chosen": 0}
        dead = riptide_on_valkey("cache", "warm", "a", "b", "--loader", "nobody", "--wait", "60")
        assert dead.code == 1
        assert "no loader is called 'nobody'" in dead.out


def test_a_deployment_is_warmed_when_it_begins(on_valkey: Deployment, tmp_path: Path) -> None:
    """By a worker, for each tenant what it has; once."""
    settings = on_valkey.settings(tenant={"enabled": True})
    cache = {"enable_warming": True, "warm_list": ["tea"], "namespace_loaders": {"default": "shout"}}
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", settings={"warm_list": ["milk"]})
        about: dict[str, Any] = {
            "cache": cache,
            "tenant": {"enabled": True},
            "workers": {"modules": ["tests.support.shop"]},
        }
        for number in range(2):
            with WorkerProcess(on_valkey, tmp_path / str(number), commands=["warm"], **about):
                eventually(lambda: rt.cache.get("tea") == "TEA", "the deployment's list")
                eventually(lambda: rt.cache.get("milk", tenant="acme") == "MILK", "the tenant's list")
        assert rt.cache.get("tea", tenant="acme") is None
    assert [fields[b"tenant"] for _, _, fields in on_valkey.entries("warm")].count(b"acme") == 1
