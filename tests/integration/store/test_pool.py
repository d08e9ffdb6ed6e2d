"""Connections are bounded, shared, and never carry another operation's reply."""

import asyncio
import os
import random
import signal
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import redis

from riptide.config import Settings
from riptide.errors import ServerUnavailable
from riptide.store.aio import AsyncStore
from riptide.store.sync import Store, open_store
from tests.integration.store.faces import Face, op, settings
from tests.integration.store.stalling import Stalling
from tests.servers import Server
from tests.support.waiting import PATIENCE, aeventually, eventually

Open = Callable[[Settings], Face]
ON_BOTH = pytest.mark.parametrize("server", ["valkey", "cluster"], indirect=True)
LONG_MS = int(PATIENCE * 1000)


def observer(server: Server) -> Any:
    return redis.RedisCluster.from_url(server.url) if server.cluster else redis.Redis.from_url(server.url)


def connections(client: Any, name: str, key: str) -> list[dict[str, str]]:
    """The connections of that name to the node of `key`."""
    where = {"target_nodes": client.get_node_from_key(key)} if isinstance(client, redis.RedisCluster) else {}
    return [row for row in client.client_list(**where) if row["name"] == name]


@ON_BOTH
async def test_never_more_connections_than_the_pool_has_and_those_who_wait_get_one(
    server: Server, opened: Open, prefix: str
) -> None:
    chosen = settings(
        f"{server.url}?client_name={prefix}", cluster=server.cluster, pool_size=3, command_timeout_ms=LONG_MS
    )
    store = opened(chosen)
    most = 3 + server.cluster  # redis-py keeps the one by which it learned the slots
    with observer(server) as client:

        async def held() -> bool:
            return sum("b" in row["flags"] for row in connections(client, prefix, prefix)) == 3

        popped = [asyncio.create_task(store.run(op("BLPOP", prefix, 0))) for _ in range(10)]
        await aeventually(held, "three waiting reads")
        for number in range(10):
            client.rpush(prefix, number)
            assert len(connections(client, prefix, prefix)) <= most
        values = await asyncio.gather(*popped)
        assert sorted(int(value) for _, value in values) == list(range(10))
        assert len(connections(client, prefix, prefix)) <= most


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
async def test_patience_ends_in_a_clear_error(server: Server, opened: Open, prefix: str) -> None:
    with Stalling(server.url) as proxy, observer(server) as client:
        client.set(prefix, "a value that is held")
        store = opened(settings(proxy.url, pool_size=1, command_timeout_ms=100, retry_attempts=100))
        await store.run(op("GET", "other"))
        # The holder tries again and again, and keeps its place meanwhile.
        proxy.cut_chance = 1.0
        holder = asyncio.create_task(store.run(op("GET", prefix)))
        await aeventually(lambda: _soon(proxy.cuts > 0), "the holder to be cut")
        with pytest.raises(
            ServerUnavailable, match=r"all 1 connections .* busy for 0\.1 s; redis\.pool_size"
        ):
            await store.run(op("GET", "other"))
        proxy.cut_chance = 0.0
        assert await holder == b"a value that is held"
        assert await store.run(op("GET", "other")) is None


async def _soon(value: bool) -> bool:
    return value


@pytest.fixture
def store(valkey: Server) -> Any:
    opened = open_store(settings(valkey.url, pool_size=1, command_timeout_ms=LONG_MS))
    yield opened
    opened.close()


def test_a_forked_child_has_connections_of_its_own(valkey: Server, store: Store, prefix: str) -> None:
    own = store.run(op("CLIENT", "ID"))
    with observer(valkey) as client:
        holder = threading.Thread(target=store.run, args=[op("BLPOP", prefix, 0)])
        waiter = threading.Thread(target=store.run, args=[op("SET", f"{prefix}:waiter", "was here")])
        holder.start()
        eventually(lambda: "b" in client.client_list(client_id=[own])[0]["flags"], "the holder")
        waiter.start()
        eventually(lambda: store._transport._connections._waiters, "the waiter")  # type: ignore[attr-defined]
        childs = forked(lambda: [store.run(op("CLIENT", "ID")) for _ in range(3)])
        client.rpush(prefix, "go")
        holder.join(PATIENCE)
        waiter.join(PATIENCE)
        assert client.get(f"{prefix}:waiter") == b"was here"
    assert len(set(childs)) == 1
    assert own not in childs
    assert store.run(op("CLIENT", "ID")) == own


def forked(work: Callable[[], list[int]]) -> list[int]:
    """What `work()` answers in a forked child."""
    out, into = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons: other threads are running
        child = os.fork()
    if child == 0:
        try:
            os.write(into, " ".join(map(str, work())).encode())
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as reader:
        text = reader.read()
    os.waitpid(child, 0)
    return [int(part) for part in text.split()]


class Interrupted(BaseException):
    """As KeyboardInterrupt, but nobody else's."""


def test_an_interrupted_operation_never_poisons_the_next(valkey: Server, prefix: str) -> None:
    def interrupt(number: int, frame: Any) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    with Stalling(valkey.url) as proxy:
        store = open_store(settings(proxy.url, pool_size=1, command_timeout_ms=LONG_MS))
        try:
            store.run(op("SET", prefix, "a value in two halves"))
            proxy.hold = b"halves"
            threading.Thread(target=_interrupt_when, args=[proxy.held]).start()
            with pytest.raises(Interrupted):
                store.run(op("GET", prefix))
            proxy.go.set()
            assert [store.run(op("GET", f"{prefix}:none")) for _ in range(3)] == [None] * 3
        finally:
            store.close()
            signal.signal(signal.SIGUSR1, before)


def _interrupt_when(held: threading.Event) -> None:
    held.wait(PATIENCE)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)


@pytest.mark.parametrize("batch", [False, True], ids=["run", "run_all"])
async def test_a_cancelled_operation_never_poisons_the_next(
    valkey: Server, open_async: Callable[[Settings], AsyncStore], prefix: str, batch: bool
) -> None:
    with Stalling(valkey.url) as proxy:
        store = open_async(settings(proxy.url, pool_size=1, command_timeout_ms=LONG_MS))
        await store.run(op("SET", prefix, "a value in two halves"))
        proxy.hold = b"halves"
        get = op("GET", prefix)
        task: asyncio.Task[Any] = asyncio.create_task(store.run_all([get] * 3) if batch else store.run(get))
        assert await asyncio.to_thread(proxy.held.wait, PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        proxy.go.set()
        assert await store.run_all([op("GET", f"{prefix}:none")] * 3) == [None] * 3


@ON_BOTH
async def test_cancelled_at_any_moment_replies_still_belong_to_their_operations(
    server: Server, open_async: Callable[[Settings], AsyncStore], prefix: str, rng: random.Random
) -> None:
    store = open_async(settings(server.url, cluster=server.cluster, pool_size=2))
    keys = [f"{prefix}:{number}" for number in range(20)]
    await store.run_all([op("SET", key, key) for key in keys])

    async def read(key: str) -> None:
        assert await store.run(op("GET", key)) == key.encode()

    for _ in range(20):
        tasks = [asyncio.create_task(read(key)) for key in keys]
        for _ in range(rng.randrange(12)):
            await asyncio.sleep(0)
        for task in rng.sample(tasks, 10):
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError)
    for key in keys:
        await read(key)
