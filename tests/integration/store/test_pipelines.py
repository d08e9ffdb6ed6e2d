"""Several operations in one round trip."""

import secrets
from collections.abc import Callable
from hashlib import sha1

import pytest

from riptide.config import Settings
from riptide.errors import ServerRefused
from riptide.store.operation import identity
from riptide.store.script import Script
from tests.integration.store.faces import Face, op, settings
from tests.servers import Server, ServerProcess

Open = Callable[[Settings], Face]


def new_script(body: str) -> Script:
    """A script that no server knows yet."""
    source = f"-- {secrets.token_hex(8)}\n{body}"
    return Script("new.lua", source, sha1(source.encode(), usedforsecurity=False).hexdigest())


def store_on(server: Server, opened: Open, **redis: int) -> Face:
    return opened(settings(server.url, cluster=server.cluster, **redis))


async def test_replies_come_in_order(server: Server, opened: Open, prefix: str) -> None:
    store = store_on(server, opened, max_pipeline_size=7)
    keys = [f"{prefix}:{number}" for number in range(50)]
    assert await store.run_all([op("SET", key, key) for key in keys]) is not None
    assert await store.run_all([op("GET", key) for key in keys]) == [key.encode() for key in keys]
    assert await store.run_all([]) == []


@pytest.mark.parametrize("server", ["valkey", "cluster"], indirect=True)
async def test_an_error_reply_raises_when_all_were_carried_out(
    server: Server, opened: Open, prefix: str
) -> None:
    store = store_on(server, opened)
    script = new_script("return redis.call('SET', KEYS[1], ARGV[1])")
    text, after, scripted = (f"{prefix}:{name}" for name in ("text", "after", "scripted"))
    with pytest.raises(ServerRefused, match="not an integer"):
        await store.run_all(
            [
                op("SET", text, "text"),
                op("INCR", text),
                op("SET", after, "done"),
                script.call([scripted], ["done"], identity),
            ]
        )
    assert await store.run_all([op("GET", after), op("GET", scripted)]) == [b"done", b"done"]
    assert await store.run(op("GET", text)) == b"text"


@pytest.mark.parametrize("server", ["valkey", "cluster"], indirect=True)
async def test_a_script_that_fails_while_it_is_learned(server: Server, opened: Open, prefix: str) -> None:
    store = store_on(server, opened)
    for run in (store.run, lambda operation: store.run_all([operation])):
        script = new_script("return redis.error_reply('ERR as asked')")
        with pytest.raises(ServerRefused, match="as asked"):
            await run(script.call([prefix], [], identity))


async def test_scripts_that_the_server_does_not_know(server: Server, opened: Open, prefix: str) -> None:
    store = store_on(server, opened)
    script = new_script("return {KEYS[1], ARGV[1]}")
    keys = [f"{prefix}:{number}" for number in range(5)]
    expected = [[key.encode(), b"x"] for key in keys]
    for _ in range(2):
        assert await store.run_all([script.call([key], ["x"], identity) for key in keys]) == expected
    other = new_script("return ARGV[1]")
    assert await store.run(other.call([prefix], ["y"], identity)) == b"y"


async def test_script_flush_in_the_middle_of_a_pipeline(
    private_server: Callable[..., ServerProcess], opened: Open
) -> None:
    store = opened(settings(private_server(aof=False).url))
    script = new_script("return redis.call('INCR', KEYS[1])")
    call = script.call(["counter"], [], identity)
    assert await store.run(call) == 1
    values = await store.run_all([call, op("SCRIPT", "FLUSH"), call, op("ECHO", "last"), call])
    assert values == [2, b"OK", 3, b"last", 4]


@pytest.mark.parametrize(("size", "reads"), [(100, 3), (1000, 1)])
async def test_the_size_of_a_pipeline_is_bounded(
    private_server: Callable[..., ServerProcess], opened: Open, size: int, reads: int
) -> None:
    server = private_server("redis7", aof=False)
    store = opened(settings(server.url, max_pipeline_size=size, pool_size=1))
    await store.run(op("GET", "key"))
    with server.client() as client:

        def count() -> int:
            return int(client.info("stats")["total_reads_processed"])

        start = count()
        await store.run_all([op("GET", "k")] * 250)
        assert count() - start - 1 == reads  # one is that of the second INFO
