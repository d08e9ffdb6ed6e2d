"""A server that does not answer: further tries, their end, and no hang."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from riptide.config import Settings
from riptide.errors import ServerRefused, ServerUnavailable
from riptide.store.operation import Operation
from tests.integration.store.faces import Face, op, settings
from tests.integration.store.stalling import Stalling
from tests.servers import Server, ServerProcess
from tests.support.proxy import Proxy
from tests.support.waiting import PATIENCE, aeventually

Open = Callable[[Settings], Face]


@pytest.mark.parametrize("attempts", [0, 2])
async def test_each_try_has_a_connection_of_its_own_until_they_end(
    valkey: Server, opened: Open, attempts: int
) -> None:
    with Proxy(valkey.url) as proxy:
        proxy.cut_chance = 1.0
        store = opened(settings(proxy.url, retry_attempts=attempts, pool_size=1))
        with pytest.raises(ServerUnavailable, match="cannot be reached"):
            await store.run(op("GET", "key"))
        assert proxy.connections == attempts + 1
        proxy.cut_chance = 0.0
        assert await store.run(op("EXISTS", "key")) in {0, 1}


async def test_a_connection_that_has_died_is_replaced_unseen(
    valkey: Server, opened: Open, prefix: str
) -> None:
    with Proxy(valkey.url) as proxy:
        store = opened(settings(proxy.url, retry_attempts=1, pool_size=1))
        await store.run(op("SET", prefix, "value"))
        for _ in range(3):
            proxy.cut()
            assert await store.run(op("GET", prefix)) == b"value"
            proxy.cut()
            assert await store.run_all([op("GET", prefix)] * 2) == [b"value"] * 2


async def test_an_error_reply_is_not_tried_again(
    private_server: Callable[..., ServerProcess], opened: Open
) -> None:
    server = private_server(aof=False)
    store = opened(settings(server.url, retry_attempts=5))
    await store.run(op("SET", "key", "text"))
    with pytest.raises(ServerRefused, match="not an integer"):
        await store.run(op("INCR", "key"))
    with server.client() as client:
        assert client.info("commandstats")["cmdstat_incr"]["calls"] == 1


@pytest.mark.parametrize("connected", [True, False])
async def test_a_frozen_server_is_given_up(
    private_server: Callable[..., ServerProcess], opened: Open, connected: bool
) -> None:
    server = private_server(aof=False)
    store = opened(settings(server.url, retry_attempts=1, command_timeout_ms=100, connection_timeout_ms=100))
    if connected:
        await in_time(store, op("SET", "key", "value"))
    server.pause()
    for _ in range(2):
        with pytest.raises(ServerUnavailable, match=r"(?i)timeout"):
            await store.run(op("GET", "key"))
        with pytest.raises(ServerUnavailable, match=r"(?i)timeout"):
            await store.run_all([op("GET", "key")] * 3)
    server.resume()
    assert await in_time(store, op("EXISTS", "key")) == connected


async def in_time(store: Face, operation: Operation[Any]) -> Any:
    """Its value, once the time that a busy machine was given for it has sufficed."""

    async def asked() -> list[Any]:
        with suppress(ServerUnavailable):
            return [await store.run(operation)]
        return []

    [value] = await aeventually(asked, "an answer in time")
    return value


async def test_a_slow_operation_is_logged_without_its_arguments(
    valkey: Server, opened: Open, prefix: str
) -> None:
    with Stalling(valkey.url) as proxy:
        store = opened(settings(proxy.url, slow_ms=20, command_timeout_ms=int(PATIENCE * 1000)))
        await store.run(op("SET", prefix, "a-secret-value"))
        with capture_logs() as lines:
            proxy.hold = b"a-secret-value"
            proxy.patience = 0.05
            await store.run(op("SET", prefix, "another-secret", "GET"))
    [line] = lines
    milliseconds = line.pop("ms")
    assert milliseconds > 20
    assert line == {
        "event": "slow operation",
        "log_level": "warning",
        "operation": "SET",
        "key": prefix,
    }


async def test_a_quick_operation_is_not_logged(valkey: Server, opened: Open, prefix: str) -> None:
    store = opened(settings(valkey.url))
    with capture_logs() as lines:
        await store.run(op("SET", prefix, "value"))
    assert lines == []
