"""Connections for blocking reads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
import redis

from riptide.config import Settings
from riptide.errors import ServerUnavailable
from riptide.store import blocking
from riptide.store.aio import AsyncStore
from riptide.store.blocking import BlockingConnection
from tests.integration.store.faces import settings
from tests.integration.store.stalling import Stalling
from tests.servers import Server
from tests.support.waiting import PATIENCE, aeventually

OpenAsync = Callable[[Settings], AsyncStore]
ON_BOTH = pytest.mark.parametrize("server", ["valkey", "cluster"], indirect=True)


@pytest.fixture
async def connected(open_async: OpenAsync) -> AsyncIterator[Callable[..., BlockingConnection]]:
    """`connected(settings, key, block_seconds)` is a connection for blocking reads."""
    made: list[BlockingConnection] = []

    def make(chosen: Settings, key: str, block_seconds: float = PATIENCE) -> BlockingConnection:
        made.append(BlockingConnection(open_async(chosen), key, block_seconds))
        return made[-1]

    yield make
    for connection in made:
        await connection.close()


async def answered(connection: BlockingConnection, *commands: tuple[Any, ...]) -> list[Any]:
    """The replies, once the time that a busy machine was given for them has sufficed."""

    async def asked() -> list[Any]:
        with suppress(ServerUnavailable):
            return await connection.send(list(commands))
        return []

    return await aeventually(asked, "an answer in time")


def read(key: str, milliseconds: int) -> tuple[Any, ...]:
    return ("XREAD", "BLOCK", milliseconds, "STREAMS", key, "$")


FOREVER = int(PATIENCE * 1000)


@ON_BOTH
async def test_a_read_may_last_longer_than_a_command(
    server: Server, connected: Callable[..., BlockingConnection], prefix: str
) -> None:
    chosen = settings(server.url, cluster=server.cluster, command_timeout_ms=150, retry_attempts=0)
    connection = connected(chosen, prefix)
    await answered(connection, ("XLEN", prefix))  # to know the cluster takes commands
    for _ in range(2):
        assert await connection.send([read(prefix, 400)]) == [None]


@ON_BOTH
async def test_an_error_stands_among_the_replies(
    server: Server, connected: Callable[..., BlockingConnection], prefix: str
) -> None:
    connection = connected(settings(server.url, cluster=server.cluster), prefix)
    replies = await connection.send(
        [("SET", prefix, "text"), ("INCR", prefix), ("XLEN", prefix), ("GET", prefix)]
    )
    assert [replies[0], replies[3]] == [b"OK", b"text"]
    assert "not an integer" in str(replies[1])
    assert "WRONGTYPE" in str(replies[2])


@ON_BOTH
async def test_a_waiting_read_is_ended(
    server: Server, connected: Callable[..., BlockingConnection], prefix: str
) -> None:
    connection = connected(settings(server.url, cluster=server.cluster), prefix)
    assert not await connection.unblock()
    for _ in range(2):
        waiting = asyncio.create_task(connection.send([read(prefix, FOREVER)]))
        await aeventually(connection.unblock, "the read to be ended")
        assert await waiting == [None]
        assert not await connection.unblock()


@ON_BOTH
async def test_a_cancelled_read_never_poisons_the_next(
    server: Server, connected: Callable[..., BlockingConnection], prefix: str
) -> None:
    connection = connected(settings(server.url, cluster=server.cluster), prefix)
    await connection.send([("SET", f"{{{prefix}}}:text", "text")])
    waiting = asyncio.create_task(connection.send([read(prefix, FOREVER)]))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await connection.send([("GET", f"{{{prefix}}}:text")]) == [b"text"]


async def test_a_cancelled_connect_leaves_nothing_open(
    valkey: Server, connected: Callable[..., BlockingConnection], prefix: str
) -> None:
    with Stalling(valkey.url) as proxy, redis.Redis.from_url(valkey.url) as client:
        connection = connected(settings(f"{proxy.url}?client_name={prefix}"), prefix)
        proxy.hold = b"OK"  # of the handshake
        connecting = asyncio.create_task(connection.send([("GET", prefix)]))
        assert await asyncio.to_thread(proxy.held.wait, PATIENCE)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        proxy.go.set()

        async def gone() -> bool:
            return not any(row["name"] == prefix for row in client.client_list())

        await aeventually(gone, "the half-made connection to be closed")
        assert await connection.send([("GET", prefix)]) == [None]


async def test_a_cancelled_unblock_never_poisons_the_next(
    valkey: Server, connected: Callable[..., BlockingConnection], prefix: str
) -> None:
    with Stalling(valkey.url) as proxy, redis.Redis.from_url(valkey.url) as client:
        connection = connected(settings(f"{proxy.url}?client_name={prefix}"), prefix)
        assert await connection.send([("GET", prefix)]) == [None]
        proxy.hold = b":0\r\n"  # nobody waits
        ending = asyncio.create_task(connection.unblock())
        assert await asyncio.to_thread(proxy.held.wait, PATIENCE)
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        proxy.go.set()
        waiting = asyncio.create_task(connection.send([read(prefix, FOREVER)]))

        async def blocked() -> bool:
            return any(row["name"] == prefix and "b" in row["flags"] for row in client.client_list())

        await aeventually(blocked, "the read to wait")
        assert await connection.unblock()
        assert await waiting == [None]


async def test_a_silent_connection_ends_and_the_next_read_connects_anew(
    valkey: Server,
    connected: Callable[..., BlockingConnection],
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blocking, "_MARGIN_SECONDS", 0.2)
    with Stalling(valkey.url) as proxy:
        connection = connected(settings(proxy.url), prefix, block_seconds=0.1)
        await answered(connection, ("SET", prefix, "a value in two halves"))
        proxy.hold = b"halves"
        with pytest.raises(ServerUnavailable, match=r"(?i)timeout"):
            await connection.send([("GET", prefix)])
        proxy.go.set()
        assert await answered(connection, ("GET", prefix)) == [b"a value in two halves"]


async def test_a_connection_that_is_cut_is_made_anew(
    valkey: Server, connected: Callable[..., BlockingConnection], prefix: str
) -> None:
    with Stalling(valkey.url) as proxy:
        connection = connected(settings(proxy.url), prefix)
        await connection.send([("SET", prefix, "value")])
        waiting = asyncio.create_task(connection.send([read(f"{prefix}:stream", FOREVER)]))
        await asyncio.sleep(0)
        proxy.cut()
        with pytest.raises(ServerUnavailable, match="cannot be reached"):
            await waiting
        assert await connection.send([("GET", prefix)]) == [b"value"]
