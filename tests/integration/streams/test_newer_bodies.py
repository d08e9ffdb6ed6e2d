"""A body that is newer than a worker knows waits for a living worker that reads it."""

import asyncio
import json
from typing import Any, ClassVar

import riptide
from riptide.store.keys import PARTITIONS
from riptide.streams.members import Members, introduce
from riptide.streams.registry import CommandType
from tests.support.commands import HANDLERS, Effect
from tests.support.deployment import SHORT, Deployment
from tests.support.waiting import aeventually
from tests.support.workers import command_types, running_worker

COUNT = 32


def _to_2(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"note": ""}


class NewerEffect(Effect):
    """The next release's: it has one more field."""

    type: ClassVar[str] = "effect"
    version: ClassVar[int] = 2
    upcasters = {1: _to_2}  # noqa: RUF012 - the base says ClassVar
    note: str


OLD = command_types({"effect": HANDLERS["effect"]})
NEW = [CommandType("effect", NewerEffect, HANDLERS["effect"])]


def add(deployment: Deployment, version: int) -> None:
    body = {"into": deployment.prefix} | ({"note": "n"} if version == 2 else {})
    for n in range(COUNT):
        partition = PARTITIONS[n % len(PARTITIONS)]
        deployment.add("effect", {"id": f"{version}-{n}", "v": version, "body": json.dumps(body)}, partition)


async def test_old_and_new_workers_side_by_side(deployment: Deployment) -> None:
    settings = deployment.settings(**SHORT)
    async with running_worker(settings, OLD), running_worker(settings, NEW) as new:
        for version in (1, 2):
            await asyncio.to_thread(add, deployment, version)

        async def done() -> bool:
            return len(await asyncio.to_thread(deployment.done, deployment.prefix)) == 2 * COUNT

        await aeventually(done, "all to be done")
        served = new._ground.members.newest_served
        assert await new._store.run(served("effect", 1000, new.name)) == 2
        assert await new._store.run(served("bulk", 1000, new.name)) == 0
    assert deployment.letters("effect") == []
    attempts = [attempt for _, attempt, _ in deployment.starts(deployment.prefix)]
    assert attempts == [1] * 2 * COUNT, "going back counts as no start"


async def test_only_the_living_count(deployment: Deployment) -> None:
    """One that has said it reads version 2, and is silent for longer than a lease, is nobody to wait for."""
    settings = deployment.settings(**SHORT)
    async with running_worker(settings, OLD) as old:
        members = Members(deployment.keys)
        await old._store.run(members.beat("ghost.1.x", 1000, introduce("worker", {"effect": 2}, 0)))

        async def forgotten() -> bool:
            return await old._store.run(members.newest_served("effect", 1000, old.name)) == 1

        await aeventually(forgotten, "a lease to pass")
        await asyncio.to_thread(add, deployment, 2)

        async def buried() -> bool:
            return len(await asyncio.to_thread(deployment.letters, "effect")) == COUNT

        await aeventually(buried, "the dead letters")
    letters = deployment.letters("effect")
    assert {letter[b"reason"] for letter in letters} == {b"unknown-version"}
    assert {letter[b"attempts"] for letter in letters} == {b"0"}


async def test_who_was_silent_itself_takes_nobody_for_dead(deployment: Deployment) -> None:
    """After a pause of the machine, or an outage of the server, all look dead: whoever asks first must not
    bury what another one reads."""
    lease_ms, members = 50, Members(deployment.keys)

    async def beat(name: str, version: int) -> None:
        about = introduce("worker", {"effect": version}, 0)
        await rt.store.run(members.beat(name, lease_ms, about))

    async def newest() -> int:
        return await rt.store.run(members.newest_served("effect", lease_ms, "old.1.x"))

    async def silence() -> None:
        """Nobody beats for a lease."""
        end = deployment.server_seconds() + lease_ms / 1000

        async def over() -> bool:
            return deployment.server_seconds() > end

        await aeventually(over, "a lease to pass")

    async def has_judged() -> bool:
        await beat("old.1.x", 1)
        return await newest() == 1

    async with await riptide.aconnect(config=deployment.settings()) as rt:
        await beat("new.1.x", 2)
        await beat("old.1.x", 1)
        await silence()
        assert await newest() == 2
        await beat("old.1.x", 1)
        assert await newest() == 2, "the others have had no time to beat again"
        await aeventually(has_judged, "a lease without a gap")
        await silence()
        assert await newest() == 2, "it has been silent once more"
