"""A real Sentinel: where the primary is, and that all goes on when it moves."""

import asyncio
from collections.abc import Callable

import pytest

from riptide.config import Settings
from riptide.errors import ServerUnavailable
from riptide.reads.aio_client import aconnect
from tests.integration.store.faces import Face, op, settings
from tests.servers.ports import free_port
from tests.servers.sentinel import SERVICE, Sentinel
from tests.support.commands import Effect
from tests.support.deployment import make_settings
from tests.support.waiting import PATIENCE, aeventually
from tests.support.workers import running_worker

Open = Callable[[Settings], Face]


async def test_operations_go_to_the_primary_before_and_after_a_failover(
    sentinel: Sentinel, opened: Open
) -> None:
    dead = free_port()
    store = opened(
        settings(f"redis+sentinel://127.0.0.1:{dead},127.0.0.1:{sentinel.sentinel.port}/{SERVICE}")
    )
    await store.run(op("SET", "key", "before"))
    with sentinel.nodes[0].client() as client:
        assert client.get("key") == b"before"
    await asyncio.to_thread(sentinel.fail_over)
    assert sentinel.primary is sentinel.nodes[1]

    async def written() -> bool:
        try:
            return bool(await store.run(op("SET", "key", "after")) == b"OK")
        except ServerUnavailable:
            return False

    await aeventually(written, "a write to the new primary")
    assert await store.run_all([op("GET", "key")] * 3) == [b"after"] * 3
    with sentinel.nodes[1].client() as client:
        assert client.get("key") == b"after"


async def test_a_worker_goes_on_after_a_failover(sentinel: Sentinel, prefix: str) -> None:
    chosen = make_settings(sentinel.url, prefix)
    async with await aconnect(config=chosen) as rt, running_worker(chosen):
        before = await rt.publish(Effect(into=prefix))
        assert (await rt.wait(before, PATIENCE)).state == "done"
        await asyncio.to_thread(sentinel.fail_over)
        after = [await rt.publish(Effect(into=prefix)) for _ in range(5)]
        for ref in after:
            assert (await rt.wait(ref, PATIENCE)).state == "done"
    with sentinel.nodes[1].client() as client:
        assert client.scard(f"{prefix}:done") == 6


async def test_a_service_that_sentinel_does_not_know(sentinel: Sentinel, opened: Open) -> None:
    url = sentinel.url.replace(SERVICE, "other")
    with pytest.raises(ServerUnavailable, match="No master found for 'other' by any Sentinel") as caught:
        await opened(settings(url, retry_attempts=1)).run(op("GET", "key"))
    assert len(str(caught.value)) < 300
