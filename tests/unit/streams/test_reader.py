"""A read that waits for too little is ended, however often that happens."""

import asyncio
from typing import Any

from riptide.streams.intake import Intake, Stream
from riptide.streams.message import Entry
from riptide.streams.reader import Reader
from riptide.streams.registry import CommandType, Handler
from riptide.streams.slots import Slots
from tests.support.commands import Noop, noop
from tests.support.waiting import aeventually


class Connection:
    """A server whose streams stay empty: reads end when they are told to. Its answers may be held back."""

    def __init__(self) -> None:
        self.reads = 0
        self.answers = asyncio.Event()
        self._blocked: asyncio.Future[None] | None = None

    async def send(self, commands: list[Any]) -> list[Any]:
        if "BLOCK" in commands[0]:
            self.reads += 1
            self._blocked = asyncio.get_running_loop().create_future()
            await self._blocked
        return [None for _ in commands]

    async def unblock(self) -> bool:
        blocked, self._blocked = self._blocked, None
        if blocked is not None:
            blocked.set_result(None)
        await self.answers.wait()
        return blocked is not None

    async def close(self) -> None: ...

    async def close_helper(self) -> None: ...


async def nothing(*_: Any) -> None: ...


async def test_the_next_read_is_ended_too_while_the_last_ones_end_is_being_confirmed() -> None:
    kind, connection = CommandType("k", Noop, Handler(noop)), Connection()
    slots = Slots([kind], 1)

    def deliver(_entries: list[Entry], kind: str, reserved: int, _consumer: str) -> None:
        slots.give_back(slots.pool_of(kind), reserved)

    async def reads(count: int) -> None:
        async def begun() -> bool:
            return connection.reads == count

        await aeventually(begun, f"read {count}")

    made: Any = connection
    intake = Intake([kind], [Stream("k", "0", "k:0")], slots)
    reader = Reader(made, intake, 60_000, lambda: "me", deliver, nothing, nothing, nothing, nothing)
    running = asyncio.create_task(reader.run())
    await reads(1)
    reader.room()
    await reads(2)
    reader.room()
    connection.answers.set()
    await reads(3)
    await reader.stop()
    await running
