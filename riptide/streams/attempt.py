"""One attempt to publish: the script calls that carry it, bounded, and what the server said of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from riptide.store.keys import Keys
from riptide.store.operation import Arg, Operation
from riptide.store.script import Script
from riptide.streams.lanes import Lane
from riptide.streams.message import Ref

_PUBLISH = Script.load("riptide.streams", "publish.lua")
_PUBLISH_BATCH = Script.load("riptide.streams", "publish_batch.lua")
# Of one script call: longer ones would hold up everybody else, and a server refuses more than 512 MB.
_PER_CALL = 500
_BYTES_PER_CALL = 4 * 1024**2
# Of the calls sent together: they are packed in memory, and share one timeout.
_BYTES_PER_ROUND = 32 * 1024**2


@dataclass(frozen=True, slots=True)
class Published:
    """What the server said of one operation: where its commands are, and whether it had been seen before."""

    refs: list[Ref]
    repeated: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """Complete, so that repeating it changes nothing.

    The operations of a round are sent together. `places` are positions in the caller's order, of each
    operation in turn.
    """

    rounds: list[list[Operation[Published]]]
    places: list[list[int]]

    def collect(self, answers: Sequence[Published]) -> list[Ref]:
        refs: dict[int, Ref] = {}
        for places, answer in zip(self.places, answers, strict=True):
            refs.update(zip(places, answer.refs, strict=True))
        return [refs[place] for place in range(len(refs))]


@dataclass(slots=True)
class Composed:
    """A command as it will stand in its stream; `size` is that of its body in bytes."""

    kind: str
    tenant: str | None
    partition: str
    fields: list[Arg]
    size: int


@dataclass(slots=True)
class Call:
    """What one script call of a batch publishes."""

    partition: str
    places: list[int] = field(default_factory=list)
    commands: list[Composed] = field(default_factory=list)
    bytes: int = 0

    def add(self, place: int, composed: Composed) -> bool:
        """False if there is no room for it; a command that is too large for any call gets one of its own."""
        if self.places and (len(self.places) >= _PER_CALL or self.bytes + composed.size > _BYTES_PER_CALL):
            return False
        self.places.append(place)
        self.commands.append(composed)
        self.bytes += composed.size
        return True


def calls_of(batch: Iterable[Composed]) -> list[Call]:
    """Divide a batch into calls."""
    calls: list[Call] = []
    filling: dict[str, Call] = {}
    for place, composed in enumerate(batch):
        call = filling.get(composed.partition)
        if call is None or not call.add(place, composed):
            call = filling[composed.partition] = Call(composed.partition)
            calls.append(call)
            call.add(place, composed)
    return calls


def rounds_of(calls: Iterable[Call]) -> list[list[Call]]:
    """Divide calls into rounds, each sent when the one before was answered."""
    rounds: list[list[Call]] = []
    room = 0
    for call in calls:
        if call.bytes > room:
            rounds.append([])
            room = _BYTES_PER_ROUND
        rounds[-1].append(call)
        room -= call.bytes
    return rounds


def publish_one(keys: Keys, composed: Composed, lane: Lane, lifetime: int, most: int) -> Operation[Published]:
    """`lifetime` is how long the server remembers the lane, in seconds; `most` how large a backlog may be."""
    kind, partition = composed.kind, composed.partition

    def parse(reply: Any) -> Published:
        repeated = isinstance(reply, list)
        entry_id = reply[0] if repeated else reply
        return Published([Ref(kind, partition, entry_id.decode())], repeated)

    names = (keys.lane(partition, lane.id), *_stream(keys, kind, partition))
    return _PUBLISH.call(names, (lane.number, lifetime, most, *composed.fields), parse)


def _stream(keys: Keys, kind: str, partition: str) -> tuple[str, str, str]:
    return keys.commands(kind, partition), keys.slow(kind, partition), keys.full(kind, partition)


def publish_call(keys: Keys, call: Call, lane: Lane, lifetime: int, most: int) -> Operation[Published]:
    """The same for a call of a batch."""
    partition = call.partition
    names = [keys.lane(partition, lane.id)]
    index: dict[str, int] = {}
    args: list[Arg] = [lane.number, lifetime, most]
    for composed in call.commands:
        if composed.kind not in index:
            index[composed.kind] = len(names) + 1
            names += _stream(keys, composed.kind, partition)
        args += (index[composed.kind], len(composed.fields))
        args += composed.fields

    def parse(reply: Any) -> Published:
        entries = zip(call.commands, reply[1:], strict=True)
        return Published([Ref(one.kind, partition, entry.decode()) for one, entry in entries], reply[0] == 1)

    return _PUBLISH_BATCH.call(names, args, parse)
