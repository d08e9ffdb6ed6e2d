"""A backlog at its cap refuses new work, loudly and whole; what is finished does not count."""

import asyncio
from typing import Any

import pytest

import riptide
from riptide.errors import BacklogFull
from riptide.reads.aio_client import AsyncRipTide
from riptide.store.keys import GROUP, partition_of
from tests.support.commands import Noop
from tests.support.deployment import Deployment
from tests.support.waiting import aeventually
from tests.support.workers import running_worker

CAP: dict[str, Any] = {"streams": {"max_backlog": 50}}


async def publish(rt: AsyncRipTide, count: int, tenant: str = "acme") -> None:
    await rt.publish_many([riptide.Outgoing(Noop(n=n), tenant) for n in range(count)])


async def accepted(rt: AsyncRipTide, tenant: str = "acme") -> bool:
    try:
        await publish(rt, 1, tenant)
    except BacklogFull:
        return False
    return True


async def test_a_full_backlog_refuses_and_says_so(deployment: Deployment) -> None:
    async with await riptide.aconnect(config=deployment.settings(**CAP)) as rt:
        await publish(rt, 50)
        words = r"commands:noop:\{.*has reached 50 commands.*max_backlog"
        with pytest.raises(BacklogFull, match=words) as one:
            await rt.publish(Noop(), tenant="acme")
        assert not one.value.maybe_done
        with pytest.raises(BacklogFull):
            await publish(rt, 3)
        other = next(f"t{n}" for n in range(99) if partition_of(f"t{n}") != partition_of("acme"))
        await publish(rt, 3, other)
    assert len(deployment.entries("noop")) == 53, "nothing of what was refused stands there"


async def test_publishing_goes_on_when_the_backlog_is_worked_off(deployment: Deployment) -> None:
    """The stream still holds more than the cap then: what is finished does not count."""
    async with await riptide.aconnect(config=deployment.settings(**CAP)) as rt:
        await publish(rt, 50)
        assert not await accepted(rt)
        async with running_worker(deployment.settings(**CAP)):
            await aeventually(lambda: accepted(rt), "publishing to go on")
    # The worker may have handed back what it had not started: that stands there once more.
    assert len({fields[b"id"] for _, _, fields in deployment.entries("noop")}) == 51


async def test_what_is_being_worked_on_counts(on_valkey: Deployment) -> None:
    async with await riptide.aconnect(config=on_valkey.settings(**CAP)) as rt:
        await publish(rt, 50)
        key = on_valkey.keys.commands("noop", partition_of("acme"))
        on_valkey.client.xgroup_create(key, GROUP, id="0")
        rows: Any = on_valkey.client.xreadgroup(GROUP, "me", {key: ">"}, count=50)
        ids = [entry for _, entries in rows for entry, _ in entries]
        assert not await accepted(rt)
        on_valkey.client.xack(key, GROUP, *ids[:10])
        await aeventually(lambda: accepted(rt), "room")


async def test_a_deletion_does_not_hide_the_backlog(on_valkey: Deployment) -> None:
    """The server's own count of what is unread is lost then."""
    async with await riptide.aconnect(config=on_valkey.settings(streams={"max_backlog": 45})) as rt:
        await publish(rt, 40)
        key = on_valkey.keys.commands("noop", partition_of("acme"))
        await asyncio.sleep(0.01)  # a later millisecond
        await publish(rt, 4)
        on_valkey.client.xgroup_create(key, GROUP, id="0")
        on_valkey.client.xdel(key, on_valkey.client.xrange(key)[20][0])
        await publish(rt, 2)
        assert not await accepted(rt)
        last = on_valkey.client.xrevrange(key, count=1)[0][0]
        on_valkey.client.xgroup_setid(key, GROUP, last)
        await aeventually(lambda: accepted(rt), "room")


async def test_a_repeated_attempt_is_answered_even_then(on_valkey: Deployment) -> None:
    async with await riptide.aconnect(config=on_valkey.settings(**CAP)) as rt:
        first = await rt.publish(Noop(), tenant="acme", key="once")
        await publish(rt, 49)
        assert not await accepted(rt)
        assert await rt.publish(Noop(), tenant="acme", key="once") == first
