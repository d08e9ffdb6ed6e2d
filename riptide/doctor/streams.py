"""How the streams of a deployment stand: the facts that checks need beyond those of an overview."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from riptide.store.keys import GROUP, PARTITIONS, Keys
from riptide.store.operation import Flow, Operation, ask_all
from riptide.store.script import Script

_PARTITION = Script.load("riptide.doctor", "partition.lua")
_HELD_FACTS = 5

#: Seconds after which a retry that is due and has not been put back is late.
LATE_SECONDS = 30.0
#: Seconds within which a dead letter is a new one.
LATELY_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Held:
    """A consumer that holds `entries`, the oldest of them, `ref`, for so many seconds; that was started
    `starts` times."""

    consumer: str
    entries: int
    seconds: float
    ref: str
    starts: int


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """The streams of one type in one partition. `last` is the newest entry's id, and `saved` the position
    that was noted for the workers' group; '' if there is none. `unfinished` counts what is not done; None:
    the server cannot tell. `groups` -> the last entry that each was given."""

    kind: str
    partition: str
    last: str
    saved: str
    full: bool
    unfinished: int | None
    late: int
    dead: int
    dead_lately: int
    groups: Mapping[str, str]
    held: tuple[Held, ...]


def streams(keys: Keys, kinds: Sequence[str], held_ms: int) -> Flow[list[StreamFacts]]:
    """Of every type in every partition."""
    partitions = yield from ask_all([_partition(keys, kinds, partition, held_ms) for partition in PARTITIONS])
    return [one for rows in partitions for one in rows]


def _partition(
    keys: Keys, kinds: Sequence[str], partition: str, held_ms: int
) -> Operation[list[StreamFacts]]:
    names = [keys.positions(partition)]
    for kind in kinds:
        names += [
            keys.commands(kind, partition),
            keys.slow(kind, partition),
            keys.retry(kind, partition),
            keys.dead(kind, partition),
            keys.full(kind, partition),
        ]

    def parse(reply: Any) -> list[StreamFacts]:
        return [_facts(kind, partition, row) for kind, row in zip(kinds, reply, strict=True)]

    spans = [round(seconds * 1000) for seconds in (LATE_SECONDS, LATELY_SECONDS)]
    return _PARTITION.call(names, [GROUP, held_ms, *spans, *kinds], parse)


def _facts(kind: str, partition: str, row: list[Any]) -> StreamFacts:
    last, saved, full, unfinished, late, dead, lately, groups, held = row
    return StreamFacts(
        kind,
        partition,
        last.decode(),
        saved.decode(),
        full == 1,
        None if unfinished < 0 else unfinished,
        late,
        dead,
        lately,
        {name.decode(): given.decode() for name, given in zip(groups[::2], groups[1::2], strict=True)},
        tuple(_held(kind, partition, held[at : at + _HELD_FACTS]) for at in range(0, len(held), _HELD_FACTS)),
    )


def _held(kind: str, partition: str, row: list[Any]) -> Held:
    consumer, entries, idle_ms, entry_id, starts = row
    return Held(consumer.decode(), entries, idle_ms / 1000, f"{kind}.{partition}.{entry_id.decode()}", starts)
