"""`riptide cache`: `audit` recounts from the keys, and says where accounts differ from them;
`stats` tells what was done."""

import random
import threading
from collections.abc import Iterator

import pytest

import riptide as library
from riptide.store.keys import Keys
from tests.integration.cli.conftest import Cli
from tests.support.access import KIND, add, drain
from tests.support.deployment import Deployment

ON = [("TENANT_ENABLED", "true")]


@pytest.fixture
def rt(deployment: Deployment) -> Iterator[library.RipTide]:
    with library.connect(config=deployment.settings(tenant={"enabled": True})) as rt:
        rt.tenants.create("acme", shards=4)
        rt.tenants.create("globex")
        yield rt


def fill(rt: library.RipTide, rng: random.Random) -> None:
    for tenant in ("acme", "globex", "default"):
        for life in (1, 100, 1000):
            names = [f"{rng.randrange(1000)}" for _ in range(100)]
            rt.cache.set_many(dict.fromkeys(names, "x" * rng.randrange(500)), tenant=tenant, ttl=life)


def test_it_finds_no_difference_while_everything_goes_on(
    rt: library.RipTide, riptide: Cli, rng: random.Random
) -> None:
    fill(rt, rng)
    stop = threading.Event()

    def work() -> None:
        mine = random.Random(1)
        while not stop.is_set():
            fill(rt, mine)
            rt.cache.invalidate_namespace("default", tenant=mine.choice(["acme", "globex", "default"]))
            stop.wait(0.02)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        shown = riptide("cache", "audit", "--json", extra=ON)
    finally:
        stop.set()
        worker.join()
    assert (shown.code, shown.json["differences"]) == (0, [])
    assert shown.json["accounts"] == 4 + 1 + 16
    assert shown.json["entries"] > 0
    shown = riptide("cache", "audit", "--tenant", "acme", extra=ON)
    assert shown.code == 0
    assert shown.out.startswith("4 accounts with ")


def test_it_names_what_differs(rt: library.RipTide, riptide: Cli, deployment: Deployment) -> None:
    keys, client = Keys(deployment.prefix), deployment.client
    rt.cache.set("a", 1, tenant="globex", ttl=5000)
    index = keys.account_index("globex")
    (lost,) = [member.decode() for member in client.zrange(index, 0, -1)]
    second = int(client.zscore(index, lost))
    client.delete(keys.namespace("globex", "default") + lost.partition(":")[2])
    client.set(keys.namespace("globex", "default") + "0" * 32, "unaccounted", ex=1000)
    client.hincrby(keys.account("acme.1"), "bytes", 7)
    client.hincrby(keys.account("default.3"), "entries", 2)
    shown = riptide("cache", "audit", "--json", extra=ON)
    assert shown.code == 1
    assert "error: 5 differences between accounts and keys" in shown.err

    found = {(row["tag"], row["what"]): (row["account"], row["keys"]) for row in shown.json["differences"]}
    assert found.pop(("globex", f"entry default:{'0' * 32} in the index")) == (0, 1)
    assert found.pop(("globex", f"entries that expire at {second}")) == (1, 0)
    said, there = found.pop(("globex", f"bytes that expire at {second}"))
    assert said > there == 0
    assert found == {("acme.1", "bytes in all"): (7, 0), ("default.3", "entries in all"): (2, 0)}
    one = riptide("cache", "audit", "--tenant", "acme", extra=ON)
    assert one.code == 1
    assert "acme.1  bytes in all" in one.out
    unknown = riptide("cache", "audit", "--tenant", "nobody", extra=ON)
    assert unknown.code == 1
    assert "there is no tenant 'nobody'" in unknown.err


async def test_stats(rt: library.RipTide, riptide: Cli, deployment: Deployment) -> None:
    for number in range(10):
        rt.cache.set(f"k{number}", "x" * 100, tenant="globex", ttl=5000)
    rt.cache.close()
    add(deployment, "globex", process="elsewhere", hits=300, misses=100, timed=4, timed_us=10_050)
    add(deployment, "globex", value_bytes=10**6, stored_bytes=10**5)
    await drain(deployment, deployment.settings(tenant={"enabled": True}))
    shown = riptide("cache", "stats", "--tenant", "globex", "--json", extra=ON).json
    assert shown["tenant"] == "globex"
    assert (shown["total_keys"], shown["processes"]) == (10, 2)
    assert shown["memory_usage_bytes"] == rt.cache.statistics("globex").memory_usage_bytes > 10 * 400
    assert (shown["hit_rate"], shown["miss_rate"]) == (0.75, 0.25)
    assert shown["avg_access_time_us"] == 2512.5
    assert shown["ops_per_second"] == 410 / shown["window_seconds"]
    totals = shown["totals"]
    assert shown["avg_compression_ratio"] == totals["value_bytes"] / totals["stored_bytes"] > 9
    assert shown["evictions"] == {"policy": 0, "deployment": 0, "garbage": 0, "expired": 0}
    assert (totals["hits"], totals["sets"]) == (300, 10)

    table = riptide("cache", "stats", "--tenant", "globex", extra=ON)
    assert table.code == 0
    rows = {line.split("  ")[0]: line.split()[-1] for line in table.out.splitlines()}
    for name in (*shown.keys() - {"tenant", "evictions", "window_seconds", "processes", "totals"}, "hits"):
        assert name in rows
    assert (rows["hit_rate"], rows["avg_access_time_us"], rows["total_keys"]) == ("75.00%", "2,512.50", "10")
    assert rows["evictions: expired"] == "0"
    assert "2 processes" in table.out
    empty = riptide("cache", "stats", extra=ON)
    assert "Cache of default" in empty.out
    unknown = riptide("cache", "stats", "--tenant", "nobody", extra=ON)
    assert (unknown.code, deployment.letters(KIND)) == (1, [])
    assert "there is no tenant 'nobody'" in unknown.err
