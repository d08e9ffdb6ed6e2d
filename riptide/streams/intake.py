"""Decides what one connection reads next. Pure: it sees slots and what earlier reads brought, and touches
no socket.

A blocking read waits for all streams at once, but COUNT is per stream, so it could bring far more than there
is room for. It therefore asks for one entry only; streams that showed signs of life are then polled, the free
slots divided among them.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from riptide.streams.registry import CommandType
from riptide.streams.slots import Slots

_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Stream:
    kind: str
    partition: str
    key: str


@dataclass(frozen=True, slots=True)
class Poll:
    """Read `count` entries at most from each of `streams`, all of one type, without waiting; `slots` are
    reserved for them."""

    streams: Sequence[Stream]
    count: int
    slots: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for one entry of any of `streams`."""

    streams: Sequence[Stream]


class Intake:
    def __init__(
        self,
        types: Sequence[CommandType],
        streams: Sequence[Stream],
        slots: Slots,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._batch = {kind.name: kind.handler.batch_size for kind in types}
        self.streams = streams
        self._slots = slots
        self._maybe: dict[str, deque[Stream]] = {kind.name: deque() for kind in types}
        self._turn = deque(self._maybe)
        self._monotonic = monotonic
        self._looked_at: float | None = (
            None  # when all streams were last looked at; None: just now, by a wait
        )
        self.expect_all()

    def expect_all(self) -> None:
        """Any stream may hold entries: at the start, and after a connection was lost."""
        for waiting in self._maybe.values():
            waiting.clear()
        for stream in self.streams:
            self._maybe[stream.kind].append(stream)

    def plan(self) -> list[Poll] | Wait | None:
        """What to read next; None if there is no room for anything."""
        self._look_around()
        polls = [poll for kind in self._turn if self._maybe[kind] and (poll := self._poll(kind))]
        if polls:
            self._turn.rotate(-1)
            return polls
        open_streams = [s for s in self.streams if self._slots.free(self._slots.pool_of(s.kind)) > 0]
        if not open_streams:
            return None
        self._looked_at = None
        return Wait(open_streams)

    def _look_around(self) -> None:
        """While one stream never runs dry no wait notices the others: look at them now and then."""
        now = self._monotonic()
        if self._looked_at is None:
            self._looked_at = now
        elif now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            self.woken(self.streams)

    def _poll(self, kind: str) -> Poll | None:
        pool, maybe, batch = self._slots.pool_of(kind), self._maybe[kind], self._batch[kind]
        sharers = sum(1 for other in self._turn if self._maybe[other] and self._slots.pool_of(other) == pool)
        slots = self._slots.take(pool, max(1, self._slots.free(pool) // sharers))
        if not slots:
            return None
        room = slots * batch
        streams = [maybe.popleft() for _ in range(min(room, len(maybe)))]
        return Poll(streams, room // len(streams), slots)

    def polled(self, poll: Poll, counts: dict[Stream, int]) -> None:
        """A poll brought `counts` entries; a stream that gave all it was asked for may hold more."""
        for stream in poll.streams:
            if counts.get(stream, 0) >= poll.count:
                self._maybe[stream.kind].append(stream)

    def woken(self, streams: Sequence[Stream]) -> None:
        """A wait ended with an entry of each of `streams`."""
        for stream in streams:
            if stream not in self._maybe[stream.kind]:
                self._maybe[stream.kind].append(stream)

    def postponed(self, poll: Poll) -> None:
        """A poll failed: its streams may still hold entries."""
        self._maybe[poll.streams[0].kind].extend(poll.streams)
