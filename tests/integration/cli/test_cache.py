"""`riptide cache audit`: it recounts from the keys, and says where accounts differ from them."""

import random
import threading
from collections.abc import Iterator

import pytest

import riptide as library
from riptide.store.keys import Keys
from tests.integration.cli.conftest import Cli
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
