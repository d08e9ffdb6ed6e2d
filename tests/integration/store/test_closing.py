"""A store that is closed stays closed: whatever is on its way then leaves no connection behind."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import redis

from riptide.config import Settings
from riptide.errors import ServerUnavailable
from tests.integration.store.faces import Face, op, settings
from tests.integration.store.stalling import Stalling
from tests.servers import Server
from tests.support.waiting import PATIENCE, aeventually

Open = Callable[[Settings], Face]
LONG_MS = int(PATIENCE * 1000)


def connections(client: Any, name: str) -> list[dict[str, str]]:
    """Those of that name, to whichever node."""
    if isinstance(client, redis.RedisCluster):
        by_node: Any = client.client_list(target_nodes=redis.RedisCluster.ALL_NODES)
        rows = [row for node in by_node.values() for row in node]
    else:
        rows = client.client_list()
    return [row for row in rows if row["name"] == name]


async def none_is_left(client: Any, name: str) -> None:
    async def gone() -> bool:
        return not connections(client, name)

    await aeventually(gone, "all connections to be closed")


@pytest.mark.parametrize("stage", ["connecting", "reading"])
async def test_what_is_on_its_way_fails_and_opens_nothing_again(
    valkey: Server, opened: Open, prefix: str, stage: str
) -> None:
    with Stalling(valkey.url) as proxy, redis.Redis.from_url(valkey.url) as client:
        client.set(prefix, "a value in two halves")
        store = opened(settings(f"{proxy.url}?client_name={prefix}", command_timeout_ms=LONG_MS))
        if stage == "reading":
            await store.run(op("EXISTS", prefix))
        proxy.hold = {"connecting": b"OK", "reading": b"halves"}[stage]
        on_its_way = asyncio.create_task(store.run(op("GET", prefix)))
        assert await asyncio.to_thread(proxy.held.wait, PATIENCE)
        made = proxy.connections
        await store.close()
        with pytest.raises(ServerUnavailable):
            await on_its_way
        proxy.go.set()
        assert proxy.connections == made
        await none_is_left(client, prefix)


async def test_it_ends_further_tries(valkey: Server, opened: Open, prefix: str) -> None:
    with Stalling(valkey.url) as proxy, redis.Redis.from_url(valkey.url) as client:
        store = opened(settings(f"{proxy.url}?client_name={prefix}", retry_attempts=100))
        proxy.cut_chance = 1.0
        trying = asyncio.create_task(store.run(op("GET", prefix)))

        async def cut() -> bool:
            return proxy.cuts > 1

        await aeventually(cut, "a further try")
        await store.close()
        with pytest.raises(ServerUnavailable):
            await trying
        proxy.cut_chance = 0.0
        await none_is_left(client, prefix)


async def test_who_waits_for_a_connection_or_comes_later_hears_it(
    valkey: Server, opened: Open, prefix: str
) -> None:
    with Stalling(valkey.url) as proxy, redis.Redis.from_url(valkey.url) as client:
        client.set(prefix, "a value in two halves")
        chosen = settings(f"{proxy.url}?client_name={prefix}", pool_size=1, command_timeout_ms=LONG_MS)
        store = opened(chosen)
        await store.run(op("EXISTS", prefix))
        proxy.hold = b"halves"
        tasks = [asyncio.create_task(store.run(op("GET", prefix))) for _ in range(3)]
        assert await asyncio.to_thread(proxy.held.wait, PATIENCE)
        await store.close()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, ServerUnavailable)
        with pytest.raises(ServerUnavailable, match="have been closed"):
            await store.run(op("GET", prefix))
        proxy.go.set()
        await none_is_left(client, prefix)


@pytest.mark.parametrize("server", ["cluster"], indirect=True)
@pytest.mark.parametrize("size", [1, 3])
async def test_on_a_cluster_too(server: Server, opened: Open, prefix: str, size: int) -> None:
    """redis-py opens connections anew for what is on its way, and for what comes later if it is asked to."""
    name = f"{prefix}-here"
    chosen = settings(
        f"{server.url}?client_name={name}", cluster=True, pool_size=size, command_timeout_ms=LONG_MS
    )
    store = opened(chosen)
    with redis.RedisCluster.from_url(server.url) as client:
        await store.run(op("EXISTS", prefix))
        on_its_way = asyncio.create_task(store.run(op("BLPOP", prefix, 0)))

        async def waits() -> bool:
            return any(row["cmd"] == "blpop" for row in connections(client, name))

        await aeventually(waits, "a read to wait")
        await store.close()
        for operation in (store.run(op("GET", prefix)), store.run_all([op("GET", prefix)] * 2)):
            with pytest.raises(ServerUnavailable, match="have been closed"):
                await operation

        async def ended() -> bool:
            client.rpush(prefix, "x")
            return on_its_way.done()

        await aeventually(ended, "the read to end")
        await asyncio.gather(on_its_way, return_exceptions=True)
        await none_is_left(client, name)
