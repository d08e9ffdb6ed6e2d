"""What a publisher is told when the server cannot be reached: whether its commands may be published."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import riptide
from riptide.errors import InvalidInput, PublishUnknown, ServerUnavailable
from riptide.reads.aio_client import AsyncRipTide
from tests.servers import ServerProcess
from tests.servers.ports import free_port
from tests.support.commands import Bulk, Noop
from tests.support.deployment import make_settings

MANY = [riptide.Outgoing(Noop(n=n), tenant=f"t{n}") for n in range(20)]
PublishBy = Callable[[Any], Awaitable[Any]]


@pytest.fixture(params=["one", "with a key", "batch"])
def publish(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Publishes by a face; what it returns is to be awaited if the face is asynchronous."""

    def by(rt: Any) -> Any:
        if request.param == "batch":
            return rt.publish_many(MANY)
        return rt.publish(Noop(), key="k" if request.param == "with a key" else None)

    return by


@pytest.fixture
def breakable(private_server: Callable[..., ServerProcess]) -> ServerProcess:
    return private_server(aof=False)


def quick(url: str, **redis: Any) -> Any:
    return make_settings(url, "p", redis={"retry_attempts": 1, "retry_delay_ms": 1} | redis)


UNREACHABLE = {
    "nobody listens": (lambda _: f"redis://127.0.0.1:{free_port()}", "cannot be reached"),
    "no such socket": (lambda _: "unix:///none/such.sock", "cannot be reached"),
    "no such name": (lambda _: "redis://no-such-host.invalid", "cannot be reached"),
    "no Sentinel": (lambda _: f"redis+sentinel://127.0.0.1:{free_port()}/mymaster", "cannot be reached"),
    "wrong password": (lambda server: f"redis://:wrong@127.0.0.1:{server.port}", "refused the login"),
    "no password": (lambda server: server.url, "refused the login"),
}


@pytest.mark.parametrize(("url", "said"), UNREACHABLE.values(), ids=UNREACHABLE)
async def test_nothing_was_sent(breakable: ServerProcess, url: Any, said: str, publish: Any) -> None:
    with breakable.client() as client:
        client.config_set("requirepass", "right")
    settings = quick(url(breakable))
    with riptide.connect(config=settings) as rt, pytest.raises(ServerUnavailable, match=said) as caught:
        publish(rt)
    check(caught.value)
    async with await riptide.aconnect(config=settings) as art:
        with pytest.raises(ServerUnavailable, match=said) as caught:
            await publish(art)
    check(caught.value)


def check(error: ServerUnavailable) -> None:
    assert type(error) is ServerUnavailable
    assert not error.maybe_done
    assert "Nothing was published" in str(error)
    assert "check" in str(error).lower(), "it says what to do"
    assert "wrong" not in str(error).replace("WRONGPASS", "").replace("wrong number", "")


async def test_a_cluster_that_is_away(publish: Any) -> None:
    settings = quick(f"redis+cluster://127.0.0.1:{free_port()}")
    with riptide.connect(config=settings) as rt:
        with pytest.raises(ServerUnavailable, match="cannot be reached") as caught:
            publish(rt)
        check(caught.value)
    async with await riptide.aconnect(config=settings) as art:
        with pytest.raises(ServerUnavailable, match="cannot be reached") as caught:
            await publish(art)
    check(caught.value)


async def test_what_was_sent_to_a_server_that_died_is_unknown_and_stays_so(
    breakable: ServerProcess, publish: Any
) -> None:
    """The first try is lost, the further ones are refused; a publish that begins then was not sent."""
    settings = quick(breakable.url, pool_size=1)
    with riptide.connect(config=settings) as rt:
        async with await riptide.aconnect(config=settings) as art:
            publish(rt)
            await publish(art)
            breakable.kill()
            with pytest.raises(PublishUnknown) as lost:
                publish(rt)
            with pytest.raises(PublishUnknown) as async_lost:
                await publish(art)
            with pytest.raises(PublishUnknown):
                rt.publish_again(lost.value)
            with pytest.raises(PublishUnknown):
                await art.publish_again(async_lost.value)
            with pytest.raises(ServerUnavailable) as caught:
                publish(rt)
            check(caught.value)
            with pytest.raises(ServerUnavailable) as caught:
                await publish(art)
            check(caught.value)


async def test_wrong_input_sends_nothing(breakable: ServerProcess) -> None:
    with riptide.connect(config=quick(breakable.url)) as rt:
        async with await riptide.aconnect(config=quick(breakable.url)) as art:
            wrongs: list[Any] = [None, {}, "warm"]
            for wrong in wrongs:
                with pytest.raises(InvalidInput, match="a command is needed"):
                    rt.publish(wrong)
                with pytest.raises(InvalidInput, match="a command is needed"):
                    await art.publish(wrong)
            with pytest.raises(InvalidInput, match=r"commands\[20\]: "):
                rt.publish_many([*MANY, None])  # type: ignore[list-item]
            with pytest.raises(InvalidInput, match=r"commands\[20\]: "):
                await art.publish_many([*MANY, None])  # type: ignore[list-item]
            await wrong_references(rt, art)
    with breakable.client() as client:
        assert client.dbsize() == 0


async def wrong_references(rt: riptide.RipTide, art: AsyncRipTide) -> None:
    wrongs: list[Any] = [None, 5, "", "warm.0.99999999999999999999-1", b"warm.0.1-1"]
    for wrong in wrongs:
        with pytest.raises(InvalidInput, match="is not a reference"):
            rt.status(wrong)
        with pytest.raises(InvalidInput, match="is not a reference"):
            rt.wait(wrong, 1)
        with pytest.raises(InvalidInput, match="is not a reference"):
            await art.status(wrong)


def test_a_large_batch_goes_in_small_calls(breakable: ServerProcess) -> None:
    """A hundred bodies of a megabyte: no script call holds the server up for all of them."""
    batch = [riptide.Outgoing(Bulk(into=os.urandom(400_000).hex()), tenant="acme") for _ in range(100)]
    with riptide.connect(config=quick(breakable.url, command_timeout_ms=60_000)) as rt:
        refs = rt.publish_many(batch)
        with breakable.client() as client:
            calls = client.info("commandstats")
            count = sum(
                calls[f"cmdstat_{name}"]["calls"]
                for name in ("eval", "evalsha")
                if f"cmdstat_{name}" in calls
            )
            entries = client.xrange(f"p:commands:bulk:{{{refs[0].partition}}}")
    assert [entry.decode() for entry, _ in entries] == [ref.entry_id for ref in refs]
    assert [fields[b"body"] for _, fields in entries] == [one.command.body() for one in batch]
    assert 20 <= count <= 60
