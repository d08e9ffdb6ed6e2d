"""The commands `checkpoint` and `restore`, and the schedule."""

import asyncio
from pathlib import Path
from typing import Any

import riptide
from commands import COMMANDS, Checkpoint, Restore
from riptide.reads.aio_client import AsyncRipTide
from riptide.state.checkpoints.shelf import Shelf
from riptide.streams.registry import Registry
from riptide.streams.status import Status
from tests.integration.checkpoints.test_restoring import create
from tests.support.checkpointed import checkpoint_settings, forget
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE, aeventually
from tests.support.workers import running_worker
from workers import HANDLERS

TYPES = Registry(COMMANDS, HANDLERS).pick(["checkpoint", "restore"])


async def carried_out(rt: AsyncRipTide, command: riptide.Command) -> Status:
    return await rt.wait(await rt.publish(command), PATIENCE)


async def test_they_are_carried_out(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path)
    await asyncio.to_thread(create, settings, "acme")
    async with running_worker(settings, TYPES) as _, await riptide.aconnect(config=settings) as rt:
        ended = await carried_out(rt, Checkpoint(kind="emergency", note="the disk is full"))
        assert ended.state == "done"
        (made,) = await rt.checkpoints.list()
        assert (made.kind, made.note, made.unfinished) == ("emergency", "the disk is full", 0)
        value: Any = ended.value
        assert value["checkpoint"] == made.id
        ended = await carried_out(rt, Restore(checkpoint=made.id, tenants=["acme"], dry_run=True))
        value = ended.value
        assert (value["dry_run"], value["tenants"]) == (True, {"unchanged": 1})
        for name in ("nothing", "a/../b", "20261121T000000Z-00000000"):
            ended = await carried_out(rt, Restore(checkpoint=name))
            assert (ended.state, ended.attempts) == ("dead", 1)
        ended = await carried_out(rt, Checkpoint(scope="all"))
        assert "writes no cache entries" in str(ended.error)
    await asyncio.to_thread(forget, on_valkey)
    assert Shelf(settings).ids() == [made.id]


async def test_they_are_scheduled_once_however_many_processes_run(
    on_valkey: Deployment, tmp_path: Path
) -> None:
    every = {"checkpoint_interval_seconds": 1, "max_checkpoints": 1000}
    settings = checkpoint_settings(on_valkey, tmp_path, state=every)

    async def some() -> bool:
        return len(await asyncio.to_thread(Shelf(settings).ids)) >= 3

    first = int(on_valkey.server_seconds())
    async with running_worker(settings, TYPES), running_worker(settings, TYPES):
        await aeventually(some, "three slots")
    # What was put back stands there once more.
    commands = [entry for _, entry, fields in on_valkey.entries("checkpoint") if b"src" not in fields]
    made, problems = Shelf(settings).list()
    assert not problems
    assert {one.kind for one in made} == {"scheduled"}
    assert len(made) <= len(commands)
    # A slot may be published late, but not before its time.
    last = max(int(entry.partition("-")[0]) // 1000 for entry in commands)
    assert len(commands) <= last - first + 1, "more commands than slots"
