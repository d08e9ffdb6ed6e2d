"""Decides what one connection reads next. Pure: it sees slots and what earlier reads brought, and touches
no socket.

A blocking read waits for all streams at once, but COUNT is per stream, so it could bring far more than there
is room for. It therefore asks for one entry only; streams that showed signs of life are then polled, half of
the free slots divided among them: those that hold much a few at a time, those that hold little together.

A stream that stays at its share of the slots, and is slow, is sorted: its other tenants must not wait for
the one that holds them (docs/streams.md).
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from riptide.streams.registry import CommandType
from riptide.streams.slots import Place, Slots

_LOOK_SECONDS = 0.1
#: A stream must have been at its share for so long before it is sorted.
_CROWDED_SECONDS = 0.05
#: Faster than that, waiting for one's turn costs little more than being sorted out would.
_SLOW_PER_SECOND = 10_000
#: A stream that gave all it was asked for may hold so many times that.
_DEEPER = 4


@dataclass(frozen=True, slots=True)
class Stream:
    kind: str
    partition: str
    key: str
    slow: bool = False

    @property
    def place(self) -> Place:
        return Place(self.kind, self.partition, self.slow)


@dataclass(frozen=True, slots=True)
class Poll:
    """Read `count` entries at most from each of `streams`, all of one type, without waiting; `slots` are
    reserved for them."""

    streams: Sequence[Stream]
    count: int
    slots: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for one entry of each of `streams`; `ms` milliseconds at most (0: not at all), or as long as a
    read ever waits.

    Without streams, wait until there is room.
    """

    streams: Sequence[Stream]
    ms: int | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """Move what the tenants that crowd `stream` have in it out of the others' way. It is not read meanwhile;
    the others are."""

    stream: Stream


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
        self._readable = streams
        self._resting: Collection[str] = ()
        self._slots = slots
        self._maybe: dict[str, deque[Stream]] = {kind.name: deque() for kind in types}
        self._turn = deque(self._maybe)
        self._monotonic = monotonic
        self._looked_at: float | None = (
            None  # when all streams were last looked at; None: just now, by a wait
        )
        # Streams at their share: since when, and how many of their entries had ended then.
        self._crowded: dict[Stream, tuple[float, int]] = {}
        # Streams that gave all they were asked for: how many entries more they are thought to hold.
        self._deep: dict[Stream, int] = {}
        self._sorting: Stream | None = None
        self.expect_all()

    def expect_all(self) -> None:
        """Any stream may hold entries: at the start, and after a connection was lost."""
        for waiting in self._maybe.values():
            waiting.clear()
        for stream in self._readable:
            self._maybe[stream.kind].append(stream)

    def leave_out(self, keys: Collection[str], kinds: Collection[str] = ()) -> None:
        """Read all streams but those at `keys`, because one key that is no stream fails the read of all,
        and those of `kinds`, which rest."""
        self._resting = kinds
        self._readable = [s for s in self.streams if s.key not in keys and s.kind not in kinds]
        self._crowded.clear()
        self.expect_all()

    def plan(self) -> list[Poll] | Sort | Wait:
        """What to do next."""
        if self._sorting is None and (crowded := self._slow_and_crowded()):
            self._sorting = crowded
            return Sort(crowded)
        self._look_around()
        polls = [poll for kind in self._expected() if (poll := self._poll(kind))]
        if polls:
            self._turn.rotate(-1)
            return polls
        self._looked_at = None
        return Wait(self._open(), round(_CROWDED_SECONDS * 1000) if self._crowded else None)

    def _open(self) -> list[Stream]:
        return [stream for stream in self._readable if self._share(stream) > 0]

    def _share(self, stream: Stream, promised: int = 0) -> int:
        return 0 if stream is self._sorting else self._slots.share(stream.place, promised)

    def _look_around(self) -> None:
        """While one stream never runs dry no wait notices the others: look at them now and then."""
        now = self._monotonic()
        if self._looked_at is None:
            self._looked_at = now
        elif now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            self.woken(self._readable)

    def _expected(self) -> list[str]:
        """Types that may have entries; a poll that was under way may have noted one that rests."""
        return [kind for kind in self._turn if self._maybe[kind] and kind not in self._resting]

    def _poll(self, kind: str) -> Poll | None:
        pool, maybe, batch = self._slots.pool_of(kind), self._maybe[kind], self._batch[kind]
        sharers = sum(1 for other in self._expected() if self._slots.pool_of(other) == pool)
        shares: dict[Stream, int] = {}
        for stream in maybe:
            if share := self._share(stream, sum(shares.values())):
                shares[stream] = share
        for stream in maybe:
            if stream not in shares and stream not in self._crowded and self._slots.free(pool):
                self._crowded[stream] = self._monotonic(), self._slots.ended[stream.place]
        if not shares:
            return None
        # Half of them: the server reads for the others while these are being started.
        wanted = min(max(1, (self._slots.free(pool) + 1) // 2 // sharers), sum(shares.values()))
        slots = self._slots.take(pool, wanted)
        if not slots:
            return None
        room = slots * batch
        streams = self._fill(room, {stream: share * batch for stream, share in shares.items()})
        chosen = set(streams)
        self._maybe[kind] = deque(stream for stream in maybe if stream not in chosen)
        least = min(shares[stream] for stream in streams) * batch
        return Poll(streams, min(room // len(streams), least), slots)

    def _fill(self, room: int, most: Mapping[Stream, int]) -> list[Stream]:
        """The first of those that may give something, and how much at most, until they are thought to fill
        `room`: the fewer there are in one read, the less its entries cost."""
        streams: list[Stream] = []
        expected = 0
        for stream, entries in most.items():
            if expected >= room:
                break
            streams.append(stream)
            expected += min(entries, self._deep.get(stream, 1))
        return streams

    def polled(self, poll: Poll, counts: dict[Stream, int]) -> None:
        """A poll brought `counts` entries; a stream that gave all it was asked for may hold more."""
        for stream in poll.streams:
            if counts.get(stream, 0) >= poll.count:
                self._maybe[stream.kind].append(stream)
                self._deep[stream] = _DEEPER * poll.count
            else:
                self._crowded.pop(stream, None)
                self._deep.pop(stream, None)

    def woken(self, streams: Sequence[Stream]) -> None:
        """A wait ended with an entry of each of `streams`."""
        for stream in streams:
            if stream not in self._maybe[stream.kind]:
                self._maybe[stream.kind].append(stream)

    def postponed(self, poll: Poll) -> None:
        """A poll failed: its streams may still hold entries."""
        self._maybe[poll.streams[0].kind].extend(poll.streams)

    # Sorting

    def _slow_and_crowded(self) -> Stream | None:
        """The stream that has been at its share for longest, and hands out less than sorting it would."""
        now = self._monotonic()
        for stream, (since, ended) in self._crowded.items():
            seconds = now - since
            slow = self._slots.ended[stream.place] - ended < seconds * _SLOW_PER_SECOND
            if seconds >= _CROWDED_SECONDS and slow and not stream.slow:
                return stream
        return None

    def sorted(self, stream: Stream) -> None:
        """There is no more to sort in `stream`, or sorting it has failed."""
        self._sorting = None
        self._crowded.pop(stream, None)
        self.woken([stream])

    def rests(self, stream: Stream) -> bool:
        """Whether nothing of `stream` is to be started now."""
        return stream.kind in self._resting
