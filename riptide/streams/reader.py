"""Reads new entries for one consumer over one connection: all streams of a standalone server, or one
partition of a cluster."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from riptide.errors import RiptideError
from riptide.logger import get_logger
from riptide.store.blocking import BlockingConnection
from riptide.store.keys import GROUP
from riptide.streams.intake import Intake, Poll, Sort, Stream, Wait
from riptide.streams.message import Entry

_LONGEST_PAUSE = 1.0
_NUDGE_SECONDS = 0.001
_LONGEST_BREATH = 0.1


class Reader:
    def __init__(
        self,
        connection: BlockingConnection,
        intake: Intake,
        block_ms: int,
        consumer: Callable[[], str],
        deliver: Callable[[list[Entry], str, int, str], None],
        repair: Callable[[], Any],
        allowed: Callable[[], Any],
        recover: Callable[[], Any],
        sort: Callable[[Stream], Any],
    ) -> None:
        """`deliver(entries, type, reserved slots, consumer)` starts them; `repair()` is awaited when
        groups are gone; `allowed()` before each read.

        `recover()` is awaited, while nothing is being read, when a reply may have been lost with its entries;
        `sort(stream)` again and again while it answers that there is more to sort in it, beside the reads of
        other streams.
        """
        self._connection = connection
        self._intake = intake
        self._by_key = {stream.key.encode(): stream for stream in intake.streams}
        self._block_ms = block_ms
        self._consumer = consumer
        self._deliver = deliver
        self._repair = repair
        self._allowed = allowed
        self._recover = recover
        self._sort = sort
        self._in_doubt = False
        self._room = asyncio.Event()
        self._waiting_for: Sequence[Stream] = ()
        self._stale = False  # there is room for more than is being waited for
        self._stopping = False
        self._nudge: asyncio.Task[None] | None = None
        self._sorting: asyncio.Task[None] | None = None
        self._rng = random.Random()

    async def run(self) -> None:
        """Read until stopped; survives a server that goes away and comes back."""
        failures = 0
        try:
            while not self._stopping:
                try:
                    await self._allowed()
                    if self._in_doubt:
                        await self._sorted_out()
                        self._in_doubt = False
                        await self._recover()
                    await self._step()
                    failures = 0
                except RiptideError as error:
                    failures += 1
                    self._in_doubt = True
                    get_logger("riptide.reader").warning("cannot read", error=str(error), failures=failures)
                    self._intake.expect_all()
                    await asyncio.sleep(
                        self._rng.uniform(0, min(_LONGEST_PAUSE, 0.05 * 2 ** min(failures, 10)))
                    )
            await self._sorted_out()
        finally:
            if self._sorting is not None:
                self._sorting.cancel()
            await self._connection.close()

    def room(self) -> None:
        """Slots have become free, or what to read has changed: a read that waits for too little is ended."""
        self._room.set()
        if self._waiting_for and not self._stopping:
            self._stale = True
            if self._nudge is None or self._nudge.done():
                self._nudge = asyncio.get_running_loop().create_task(self._end_stale_waits())

    def leave_out(self, keys: Collection[str], kinds: Collection[str]) -> None:
        """Read on without the streams at `keys` and those of `kinds`, and with those left out before."""
        self._intake.leave_out(keys, kinds)
        self.room()

    def doubt(self) -> None:
        """Something may have been handed to this consumer that never reached it: look before the next
        read."""
        self._in_doubt = True
        self._room.set()

    async def stop(self) -> None:
        """Read nothing more; what the last read brings is still delivered."""
        self._stopping = True
        self._room.set()
        try:
            await self._end_wait()
            if self._nudge is not None:
                await asyncio.wait([self._nudge])
        finally:
            if self._nudge is not None:
                self._nudge.cancel()  # when this is cut short: it would leave its connection open
            await self._connection.close_helper()

    async def _end_stale_waits(self) -> None:
        while self._stale:  # while one was being ended the next may have begun, and become stale too
            self._stale = False
            await self._end_wait()

    async def _end_wait(self) -> None:
        ended = self._waiting_for
        while ended and self._waiting_for is ended and not await self._connection.unblock():  # noqa: ASYNC110
            await asyncio.sleep(_NUDGE_SECONDS)  # the read was on its way, and not yet blocked

    async def _step(self) -> None:
        if self._stopping:
            return
        plan = self._intake.plan()
        match plan:
            case Wait([], ms):
                await self._wait_for_room(ms)
            case Wait(streams, ms):
                await self._wait(streams, self._block_ms if ms is None else min(ms, self._block_ms))
            case Sort(stream):
                await self._sorted_out()
                self._sorting = asyncio.get_running_loop().create_task(self._sort_out(stream))
            case polls:
                await self._poll(polls)

    async def _sort_out(self, stream: Stream) -> None:
        try:
            while not (self._stopping or self._in_doubt or self._intake.rests(stream)):
                began = time.monotonic()
                if not await self._sort(stream):
                    break
                # The server is everybody's: it and this loop get a breath for others.
                await asyncio.sleep(min((time.monotonic() - began) / 4, _LONGEST_BREATH))
        except RiptideError as error:
            get_logger("riptide.reader").warning("cannot sort", error=str(error))
            self._in_doubt = True
        finally:
            self._intake.sorted(stream)
            self.room()

    async def _sorted_out(self) -> None:
        """Returns once nothing is being sorted."""
        if self._sorting is not None:
            await self._sorting
            self._sorting = None

    async def _wait_for_room(self, ms: int | None) -> None:
        self._room.clear()
        if not self._in_doubt:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if ms is None else ms / 1000):
                    await self._room.wait()

    async def _wait(self, streams: Sequence[Stream], block_ms: int) -> None:
        consumer = self._consumer()
        self._waiting_for = streams
        try:
            # BLOCK 0 would mean for ever.
            reply = (await self._connection.send([self._read(consumer, streams, 1, block_ms or None)]))[0]
        finally:
            self._waiting_for, self._stale = (), False
        if isinstance(reply, Exception):
            await self._lost(reply)
            return
        for key, rows in reply or ():
            stream = self._by_key[key]
            self._intake.woken([stream])
            self._deliver(_entries(stream, rows), stream.kind, 0, consumer)
        await asyncio.sleep(0)  # what was waited for starts before the next read is put together

    async def _poll(self, polls: Sequence[Poll]) -> None:
        consumer = self._consumer()
        outstanding = list(polls)
        try:
            replies = await self._connection.send(
                [self._read(consumer, p.streams, p.count, None) for p in polls]
            )
            lost: Exception | None = None
            for poll, reply in zip(polls, replies, strict=True):
                outstanding.remove(poll)
                if isinstance(reply, Exception):
                    lost = reply
                    self._intake.postponed(poll)
                    self._deliver([], poll.streams[0].kind, poll.slots, consumer)
                else:
                    self._arrived(poll, reply, consumer)
        finally:
            for poll in outstanding:
                self._intake.postponed(poll)
                self._deliver([], poll.streams[0].kind, poll.slots, consumer)
        if lost is not None:
            await self._lost(lost)

    def _arrived(self, poll: Poll, reply: Any, consumer: str) -> None:
        entries: list[Entry] = []
        counts = {}
        for key, rows in reply or ():
            stream = self._by_key[key]
            counts[stream] = len(rows)
            entries += _entries(stream, rows)
        self._intake.polled(poll, counts)
        self._deliver(entries, poll.streams[0].kind, poll.slots, consumer)

    async def _lost(self, error: Exception) -> None:
        """The stream or its group is gone (NOGROUP; on Redis 7.0 a blocked read ends with UNBLOCKED), or
        the server refuses."""
        get_logger("riptide.reader").warning("read refused", error=str(error))
        await asyncio.sleep(self._rng.uniform(0, 0.1))
        await self._repair()
        self._intake.expect_all()

    @staticmethod
    def _read(
        consumer: str, streams: Sequence[Stream], count: int, block_ms: int | None
    ) -> tuple[str | int, ...]:
        block = () if block_ms is None else ("BLOCK", block_ms)
        keys = [stream.key for stream in streams]
        return (
            "XREADGROUP",
            "GROUP",
            GROUP,
            consumer,
            "COUNT",
            count,
            *block,
            "STREAMS",
            *keys,
            *[">"] * len(keys),
        )


def _entries(stream: Stream, rows: Any) -> list[Entry]:
    kind, partition, slow = stream.kind, stream.partition, stream.slow
    # A deleted entry shows as nil where a pending one is read again; `>` never brings one.
    return [Entry(kind, partition, entry_id.decode(), fields, 0, None, slow) for entry_id, fields in rows]
