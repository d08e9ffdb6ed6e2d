"""A server that dies, swallows everything, or was never there: services serve, and use it when it comes."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from riptide.errors import PublishUnknown, ServerUnavailable, WriteBehindFull
from tests.faults.outage.conftest import QUICK, Both, Caller
from tests.servers import Cluster, Server, ServerProcess
from tests.servers.sentinel import Sentinel
from tests.support.commands import Noop
from tests.support.deployment import make_settings
from tests.support.proxy import Proxy
from tests.support.waiting import PATIENCE, aeventually

pytestmark = pytest.mark.faults

OPS = "operations_per_minute"
#: What raises in an outage: whoever calls it must know that it was not done.
LOUD: dict[str, Callable[[Any], Any]] = {
    "set": lambda rt: rt.cache.set("other", 1),
    "delete": lambda rt: rt.cache.delete("page"),
    "invalidate": lambda rt: rt.cache.invalidate(tags=["t"]),
    "clear": lambda rt: rt.cache.clear(),
    "inspect": lambda rt: rt.cache.inspect("page"),
    "publish": lambda rt: rt.publish(Noop(n=1), tenant="default"),
    "session": lambda rt: rt.sessions.get("x" * 22),
}


async def reads(caller: Caller) -> list[Any]:
    """What reads answer; none of them raises."""
    return [
        await caller.call(lambda rt: rt.cache.get("page")),
        await caller.call(lambda rt: rt.cache.get_many(["page"])),
        await caller.call(lambda rt: rt.cache.get_or_load("page", lambda: ("loaded", 1))),
        (await caller.call(lambda rt: rt.quotas.check("default", {OPS: 1}))).allowed,
    ]


MISSED: list[Any] = [None, {}, ["loaded", 1], True]
KEPT: list[Any] = ["kept", {"page": "kept"}, "kept", True]


async def is_refused(caller: Caller) -> bool:
    assert await reads(caller) in (MISSED, KEPT)
    return caller.refused


async def is_served(caller: Caller) -> bool:
    return await reads(caller) == KEPT and not caller.refused


async def all_of(callers: list[Caller], condition: Callable[[Caller], Any], what: str) -> None:
    for caller in callers:
        await aeventually(lambda caller=caller: condition(caller), what)  # type: ignore[misc]


async def check_refusals(caller: Caller) -> None:
    for name, function in LOUD.items():
        with pytest.raises(ServerUnavailable) as caught:
            await caller.call(function)
        assert not caught.value.maybe_done, name
    assert await reads(caller) == MISSED
    assert await caller.call(lambda rt: rt.cache.entry("page")) is None
    assert await caller.call(lambda rt: rt.cache.exists("page")) is False
    health = await caller.call(lambda rt: rt.health())
    assert (health.state, health.components["server"].state) == ("degraded", "down")
    assert health.components["server"].advice


async def test_killed_in_the_middle_of_calls_and_started_again(
    private_server: Callable[..., ServerProcess], prefix: str, both: Both
) -> None:
    server = private_server(aof=True)
    callers = await both(make_settings(server.url, prefix, redis=QUICK))
    for caller in callers:
        await caller.call(lambda rt: rt.cache.set("page", "kept"))
    over = asyncio.Event()

    async def read_on(caller: Caller) -> None:
        while not over.is_set():
            for answer, missed, kept in zip(await reads(caller), MISSED, KEPT, strict=True):
                assert answer in (missed, kept)

    with capture_logs() as lines:
        readers = [asyncio.create_task(read_on(caller)) for caller in callers for _ in range(2)]
        server.kill()
        await all_of(callers, is_refused, "the breaker to open")
        for caller in callers:
            await check_refusals(caller)
        await asyncio.to_thread(server.start)
        await all_of(callers, is_served, "the server to be used again")
        over.set()
        await asyncio.gather(*readers)
    told = [line["event"].partition(":")[0] for line in lines if line["event"].startswith("the server")]
    assert sorted(told) == ["the server answers again"] * 2 + ["the server does not answer"] * 2
    assert all(caller.rt.cache.stats().errors > 0 for caller in callers)


async def test_repeating_for_as_long_as_it_takes_holds_only_the_last_error(
    valkey: Server, prefix: str, both: Both
) -> None:
    """Else each error would hold the one before, by the frames of its traceback."""
    with Proxy(valkey.url) as proxy:
        for caller in await both(make_settings(proxy.url, prefix, redis=QUICK)):
            rt: Any = caller.rt
            proxy.cut_chance = 0.0
            await caller.call(lambda rt: rt.publish(Noop(n=0), tenant="default"))
            proxy.cut_chance = 1.0
            with pytest.raises(PublishUnknown) as caught:
                await caller.call(lambda rt: rt.publish(Noop(n=1), tenant="default"))
            error, seen = caught.value, []
            for _ in range(20):
                seen.append(weakref.ref(error))
                try:
                    again = rt.publish_again(error)
                    await again
                except PublishUnknown as raised:
                    error = raised
            del caught
            gc.collect()
            assert sum(one() is not None for one in seen) <= 2


async def test_nobody_waits_for_a_server_that_swallows_everything(
    valkey: Server, prefix: str, both: Both
) -> None:
    with Proxy(valkey.url) as proxy:
        timeouts = {"connection_timeout_ms": 500, "command_timeout_ms": 500, "retry_attempts": 3}
        callers = await both(make_settings(proxy.url, prefix, redis=QUICK | timeouts))
        for caller in callers:
            await caller.call(lambda rt: rt.cache.set("page", "kept"))
        proxy.swallow_all(True)
        await all_of(callers, is_refused, "the breaker to open")
        async with asyncio.timeout(PATIENCE):  # a tenth of what as many timeouts would take
            for caller in callers:
                for _ in range(200):
                    assert await reads(caller) == MISSED
        for caller in callers:
            await check_refusals(caller)
        proxy.swallow_all(False)
        await all_of(callers, is_served, "the server to be used again")


async def test_a_standalone_server_comes_later(
    private_server: Callable[..., ServerProcess], prefix: str, both: Both
) -> None:
    server = private_server(aof=False)
    server.kill()
    settings = make_settings(server.url, prefix, redis=QUICK, tenant={"enabled": True})
    callers = await both(settings)
    for caller in callers:  # nothing is known of this tenant, not even whether it is there
        loaded = await caller.call(lambda rt: rt.cache.get_or_load("k", lambda: (1, 2), tenant="acme"))
        assert loaded == [1, 2]
        assert await caller.call(lambda rt: rt.cache.get("k", 7, tenant="acme")) == 7
    await all_of(callers, is_refused, "the breaker to open")
    await asyncio.to_thread(server.start)
    await check_comes(callers)


async def test_a_sentinel_comes_later(sentinel: Sentinel, prefix: str, both: Both) -> None:
    sentinel.sentinel.kill()
    callers = await both(make_settings(sentinel.url, prefix, redis=QUICK))
    await all_of(callers, is_refused, "the breaker to open")
    await asyncio.to_thread(sentinel.sentinel.start)
    await check_comes(callers)


def write(key: str, value: Any, rt: Any, **options: Any) -> Any:
    return rt.cache.set(key, value, **options)


async def check_comes(callers: list[Caller]) -> None:
    async def written(caller: Caller) -> bool:
        try:
            return bool(await caller.call(lambda rt: rt.cache.set("page", "kept")))
        except ServerUnavailable:
            return False

    await all_of(callers, written, "the server to be used")
    await all_of(callers, is_served, "reads from the server")


async def test_a_cluster_comes_later_and_a_dead_node_stops_nobody_else(
    private_cluster: Callable[..., Cluster], prefix: str, both: Both
) -> None:
    cluster = private_cluster(
        aof=False, cluster_require_full_coverage="no", cluster_replica_no_failover="yes"
    )
    for node in cluster.nodes:
        node.kill()
    settings = make_settings(
        cluster.url, prefix, cluster=True, redis=QUICK, tenant={"isolation_level": "logical", "enabled": True}
    )
    callers = await both(settings)
    await all_of(callers, is_refused, "the breaker to open")
    for node in cluster.nodes:
        node.launch()
    for node in cluster.nodes:
        await asyncio.to_thread(node.wait_ready)
    await asyncio.to_thread(cluster.wait_ready)
    await check_comes(callers)
    dead = cluster.owner("acme")
    living = next(name for name in (f"t{n}" for n in range(100)) if cluster.owner(name) is not dead)
    for caller in callers:  # who is met for the first time is noted in another slot
        for tenant in ("acme", living):
            await caller.call(partial(write, "k", 0, tenant=tenant))
    dead.kill()
    for caller in callers:

        async def refused(caller: Caller = caller) -> bool:
            assert await caller.call(lambda rt: rt.cache.get("k", tenant="acme")) is None
            return caller.refused

        await aeventually(refused, "the breaker of the node to open")
        for number in range(20):
            await caller.call(partial(write, "k", number, tenant=living))
            assert await caller.call(lambda rt: rt.cache.get("k", tenant=living)) == number
        assert {outage.node for outage in caller.rt.store.guard.outages()} == {f"127.0.0.1:{dead.port}"}
    await asyncio.to_thread(dead.start)

    async def back(caller: Caller) -> bool:
        await caller.call(lambda rt: rt.cache.get("k", tenant="acme"))
        return not caller.refused

    await all_of(callers, back, "the node to be used again")


async def test_an_outage_raises_where_that_is_wanted(
    private_server: Callable[..., ServerProcess], prefix: str, both: Both
) -> None:
    server = private_server(aof=False)
    server.kill()
    asked = []
    for caller in await both(make_settings(server.url, prefix, redis=QUICK, cache={"on_outage": "raise"})):
        for function in (
            lambda rt: rt.cache.get("k"),
            lambda rt: rt.cache.get_many(["k"]),
            lambda rt: rt.cache.exists("k"),
            lambda rt: rt.cache.entry("k"),
            lambda rt: rt.cache.get_or_load("k", lambda: asked.append(1)),
        ):
            with pytest.raises(ServerUnavailable):
                await caller.call(function)
        assert (await caller.call(lambda rt: rt.health())).state == "down"
    assert not asked


async def test_what_a_loader_raises_is_its_own(
    private_server: Callable[..., ServerProcess], prefix: str, both: Both
) -> None:
    """Also if it is an outage: of another server, and then it is not asked again."""
    server = private_server(aof=False)
    server.kill()
    for caller in await both(make_settings(server.url, prefix, redis=QUICK)):
        asked: list[int] = []

        def load(asked: list[int] = asked) -> Any:
            asked.append(1)
            raise ServerUnavailable("another one")

        with pytest.raises(ServerUnavailable, match="another one"):
            await caller.call(lambda rt: rt.cache.get_or_load("k", load))
        assert asked == [1]


def buffer(key: str, rt: Any, **options: Any) -> Any:
    return rt.cache.write_behind(key, 1, **options)


async def insist(caller: Caller, **options: Any) -> None:
    """While what is buffered is being sent, there is room for a moment."""
    for number in range(100):
        await caller.call(partial(buffer, f"more {number}", **options))


async def test_buffered_writes_wait_and_an_outage_is_told_once(
    private_server: Callable[..., ServerProcess], prefix: str, both: Both
) -> None:
    server = private_server(aof=False)
    cache = {"write_behind_flush_seconds": 0.005, "write_behind_max_entries": 10}
    callers = await both(make_settings(server.url, prefix, redis=QUICK, cache=cache))
    server.kill()
    with capture_logs() as lines:
        for caller in callers:
            mine = type(caller.rt).__name__
            for number in range(10):
                await caller.call(partial(buffer, f"{mine} {number}"))
            with pytest.raises(WriteBehindFull):
                await insist(caller, wait=False)
            with pytest.raises(ServerUnavailable):
                await insist(caller)
        await all_of(callers, is_refused, "the breaker to open")
        for caller in callers:
            component = (await caller.call(lambda rt: rt.health())).components["write-behind"]
            assert component.state == "degraded"
            assert component.facts["waiting"] >= 10
        await asyncio.to_thread(server.start)
        for caller in callers:

            async def flushed(caller: Caller = caller) -> bool:
                key = f"{type(caller.rt).__name__} 9"
                return bool(await caller.call(lambda rt: rt.cache.get(key)) == 1)

            await aeventually(flushed, "what was buffered")
    failures = [line for line in lines if line["event"] == "cache_write_behind_failed"]
    assert len(failures) == 2, "one for each connection"
