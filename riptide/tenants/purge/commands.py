"""Removes a tenant's commands: whatever their state, with their dead letters and results."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from riptide.store.keys import GROUP, PARTITIONS
from riptide.store.operation import Arg, Flow, Operation, ask, ask_all
from riptide.store.script import Script
from riptide.streams.message import Ref
from riptide.tenants.purge.doomed import Doomed, removed_or_over

_PACKAGE = "riptide.tenants.purge"
_FIND_ENTRIES = Script.load(_PACKAGE, "find_entries.lua")
_FIND_RETRIES = Script.load(_PACKAGE, "find_retries.lua")
_DROP = Script.load(_PACKAGE, "drop_entries.lua")
#: One step holds the server for about a millisecond.
_LOOK, _STEP = 200, 200
#: What is published while a round goes on is not run after: the clocks of two servers differ by less.
_AHEAD_MS = 5_000

#: Entry id, or '' for what waits in no stream; first entry id.
_Found = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Own:
    """The command that purges, which must not remove itself: its entry, and what its publisher holds."""

    entry_id: str
    ref: Ref


@dataclass(frozen=True, slots=True)
class _Place:
    """One stream of commands or dead letters, or, without one, the retries."""

    kind: str
    partition: str
    stream: str | None


class Commands:
    """`closed_ms` is when nothing could be done any more in the tenant's name, by the server's clock."""

    def __init__(self, doomed: Doomed, own: Own, closed_ms: int) -> None:
        self._doomed, self._own, self._keys, self._closed_ms = doomed, own, doomed.keys, closed_ms

    def remove(self, kinds: Sequence[str], now_ms: int) -> Flow[int]:
        """Go through everything once; answers how many were found that had been issued before it was closed:
        they may still be on their way from one place to another."""
        places = list(self._places(kinds))
        there = yield from ask_all([Operation(("EXISTS", self._name(place)), bool) for place in places])
        found = 0
        for place, exists in zip(places, there, strict=True):
            if exists:
                found += yield from self._clear(place, str(now_ms + _AHEAD_MS))
        return found

    def _places(self, kinds: Sequence[str]) -> Iterator[_Place]:
        """In the order in which commands wander, so that few get past."""
        for kind in kinds:
            for p in PARTITIONS:
                yield _Place(kind, p, None)
                yield _Place(kind, p, self._keys.commands(kind, p))
                yield _Place(kind, p, self._keys.slow(kind, p))
                yield _Place(kind, p, self._keys.dead(kind, p))

    def _name(self, place: _Place) -> str:
        return place.stream or self._keys.retry_bodies(place.kind, place.partition)

    def _clear(self, place: _Place, end: str) -> Flow[int]:
        before, at = 0, "0" if place.stream is None else "-"
        while True:
            at, found = yield from ask(self._find(place, at, end))
            for start in range(0, len(found), _STEP):
                yield from ask(self._drop(place, found[start : start + _STEP]))
            before += sum(int(first.partition("-")[0]) <= self._closed_ms for _, first in found)
            if at in {"", "0"}:
                return before

    def _find(self, place: _Place, at: str, end: str) -> Operation[tuple[str, list[_Found]]]:
        """The next of it, and where to go on: '' or '0' at the end."""
        bodies = self._keys.retry_bodies(place.kind, place.partition)
        mine = (place.kind, place.partition) == (self._own.ref.kind, self._own.ref.partition)
        entry, first = (self._own.entry_id, self._own.ref.entry_id) if mine else ("", "")
        tenant = self._doomed.tenant
        if place.stream is None:

            def parse_retries(reply: Any) -> tuple[str, list[_Found]]:
                return reply[0].decode(), [("", one.decode()) for one in reply[1:]]

            return _FIND_RETRIES.call([bodies], [tenant, at, _LOOK, first], parse_retries)

        def parse(reply: Any) -> tuple[str, list[_Found]]:
            after, *flat = (part.decode() for part in reply)
            return after, list(zip(flat[::2], flat[1::2], strict=True))

        return _FIND_ENTRIES.call([place.stream, bodies], [tenant, at, end, _LOOK, entry, first], parse)

    def _drop(self, place: _Place, found: Sequence[_Found]) -> Operation[int]:
        kind, p, doomed = place.kind, place.partition, self._doomed
        ids = [entry for entry, _ in found if entry]
        firsts = [first for _, first in found]
        names = [
            self._keys.gone(p),
            place.stream or self._keys.commands(kind, p),
            self._keys.retry(kind, p),
            self._keys.retry_bodies(kind, p),
            *(self._keys.result(kind, p, first) for first in firsts),
        ]
        args: list[Arg] = [doomed.digest, doomed.incarnation, GROUP, len(ids), *ids, *firsts]
        return _DROP.call(names, args, removed_or_over)
