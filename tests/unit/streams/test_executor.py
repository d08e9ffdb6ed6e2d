"""The running handler calls of one consumer: what it may not start any more is dropped, and its slots are
free."""

import asyncio
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest

from riptide.config import Settings
from riptide.store.keys import PARTITIONS
from riptide.streams.executor import Executor
from riptide.streams.job import Job
from riptide.streams.message import Entry, claim_of, pack_fields
from riptide.streams.registry import CommandType, Handler
from riptide.streams.settling import Settled
from riptide.streams.slots import SHARED, Place, Slots
from riptide.streams.triage import Triage
from tests.support.commands import Noop

BODY = [b"body", b'{"n":1}']
PUT_BACK = [b"id", b"x", b"at", b"1", b"src", b"1-1", b"attempts", b"1", b"orig", pack_fields(BODY)]


class Settler:
    """Believes whatever claims to be a retry, after a while."""

    def __init__(self) -> None:
        self.settled: list[str] = []
        self.stuck: list[Entry] = []
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def settle(self, outcomes: Settled) -> None:
        self.settled += [entry.id for entry, _ in outcomes]

    async def vouch(self, entries: Sequence[Entry]) -> None:
        self.asked.set()
        await self.answer.wait()
        for entry in entries:
            entry.returned = claim_of(entry)

    async def report(self, jobs: Sequence[Job]) -> None: ...


class Scene:
    """Three slots, and a handler that takes two at a time."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.intact = True
        self.dropped: list[list[str]] = []
        self.kind = CommandType("noop", Noop, Handler(self._handle, batch_size=2))
        self.slots = Slots([self.kind], 3)
        self.settler = Settler()
        settings, settler = Settings(), self.settler
        self.executor = Executor(
            settings,
            Triage(settings),
            settler,  # type: ignore[arg-type]
            self.slots,
            None,
            is_intact=lambda: self.intact,
            dropped=lambda: self.dropped.append(self.known()),
        )

    async def _handle(self, batch: Sequence[Job], _ctx: Any) -> None:
        self.ran += [job.entry.id for job in batch]

    def start(self, fields: list[bytes], count: int) -> None:
        entries = [Entry("noop", PARTITIONS[0], f"{n}-0", list(fields)) for n in range(count)]
        self.executor.start(self.kind, entries, self.slots.take(SHARED, 3))

    def known(self) -> list[str]:
        return self.executor.known(Place("noop", PARTITIONS[0], slow=False))

    async def end(self) -> None:
        async with asyncio.timeout(60):
            while self.executor.running:  # noqa: ASYNC110 - the tasks are the executor's own
                await asyncio.sleep(0)


@pytest.mark.parametrize("fields", [BODY, PUT_BACK], ids=["delivered", "put back"])
async def test_what_others_may_have_been_given_meanwhile_is_dropped(fields: list[bytes]) -> None:
    scene = Scene()
    scene.start(fields, 5)
    if fields is PUT_BACK:
        await scene.settler.asked.wait()
    assert len(scene.known()) == 5
    scene.intact = False  # the process stood still before the handler's first step
    scene.settler.answer.set()
    await scene.end()
    assert (scene.ran, scene.settler.settled) == ([], [])
    assert scene.dropped, "they are looked for again"
    assert scene.dropped[-1] == [], "and then none of them is known any more"
    assert scene.slots.free(SHARED) == 3
    assert scene.slots.ended.total() == 0
    scene.intact = True
    scene.start(fields, 5)
    await scene.end()
    assert len(scene.ran) == len(scene.settler.settled) == 5


async def test_entries_are_known_before_they_are_looked_at() -> None:
    """The next read is on its way to the server before this one's bodies are parsed."""
    scene = Scene()
    with patch.object(Triage, "read", autospec=True, side_effect=Triage.read) as looked_at:
        scene.start(BODY, 5)
        assert len(scene.known()) == 5
        assert not looked_at.called
        await scene.end()
    assert looked_at.call_count == 3
    assert len(scene.ran) == 5


async def test_who_is_intact_drops_nothing() -> None:
    scene = Scene()
    scene.start(BODY, 5)
    await scene.end()
    assert len(scene.ran) == scene.slots.ended.total() == 5
    assert scene.dropped == []
