"""A store that is closed stays closed: whatever is on its way then leaves no connection behind."""

import asyncio
from collections.abc import Callable

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


async def none_is_left(client: redis.Redis, name: str) -> None:
    async def gone() -> bool:
        return not any(row["name"] == name for row in client.client_list())

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
