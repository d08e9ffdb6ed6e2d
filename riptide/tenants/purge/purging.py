"""Removes all that a tenant has (docs/tenants.md).

The order makes every step safe to repeat, and to be stopped at:

1. Its record is closed, under another incarnation: whatever was learnt of the tenant is out of date, and
   nothing new can be written in its name. In every partition it is noted that it is gone: what it did before
   is dropped.
2. Its data keys are destroyed: nothing that they encrypted can be read any more, wherever it was copied.
3. Commands and keys are removed, step by step, until a round finds none.
4. Its record goes, and last its place in the index: until then nobody can take its id.

Who is still at it after that removes nothing more: each step asks in its own slot whether the purge goes on.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

from riptide.config import Settings
from riptide.errors import Dead
from riptide.store.keys import PARTITIONS, Keys
from riptide.store.operation import Arg, Call, Flow, Operation, ask, ask_all
from riptide.store.scan import Scan
from riptide.store.script import Script
from riptide.tenants.purge.commands import Commands, Own
from riptide.tenants.purge.doomed import Doomed, PurgeOver
from riptide.tenants.purge.mark import begun
from riptide.tenants.purge.names import Names, kind_in, streams_pattern
from riptide.tenants.registry.audit import Audit, Deed
from riptide.tenants.registry.index import Index
from riptide.tenants.registry.record import Records

_PACKAGE = "riptide.tenants.purge"
_FORGET = Script.load(_PACKAGE, "forget.lua")
_TALLY = Script.load(_PACKAGE, "tally.lua")
_TALLY_SECONDS = 30 * 86_400
_PAGE, _STEP = 2_000, 500

T = TypeVar("T")
#: Calls something that blocks: at once, or in a thread that can be awaited.
Blocking = Callable[[Callable[[], Any]], Any]
#: Destroys the data keys of an incarnation of a tenant; answers how many there were.
Destroy = Callable[[str, str], Flow[int]]


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed: `keys`; `commands` that would still have run; `data_keys`."""

    keys: int
    commands: int
    data_keys: int


@dataclass(frozen=True, slots=True)
class Order:
    """Whom to purge, and why. `own` is the command that says so; `told` hears how far it is."""

    tenant: str
    incarnation: str
    actor: str
    why: str
    own: Own
    told: Callable[[int, int], None]


class Purging:
    """`kinds` are the types of command whose streams are looked through, besides all that there are."""

    def __init__(
        self, keys: Keys, settings: Settings, kinds: Iterable[str], blocking: Blocking, destroy: Destroy
    ) -> None:
        self._keys, self._settings, self._kinds = keys, settings, frozenset(kinds)
        self._blocking, self._destroy = blocking, destroy
        self._records, self._index, self._audit = (
            Records(keys),
            Index(keys),
            Audit(keys, settings.security),
        )

    def purge(self, order: Order) -> Flow[Removed | None]:
        """Answers what was removed, by all tries together; None if there is nothing of that incarnation."""
        doomed = yield from self._close(order)
        if doomed is None:
            return None
        if doomed.tags:
            try:
                yield from self._remove(doomed, order)
            except PurgeOver:
                yield from self._check_over(doomed)
                return None
        yield from ask_all([doomed.end_gone(p) for p in PARTITIONS])
        return (yield from self._forget(doomed, order))

    def _close(self, order: Order) -> Flow[Doomed | None]:
        """Without tags: its record is gone, and what is left is to forget it."""
        tenant, incarnation = order.tenant, order.incarnation
        fields = (yield from ask(self._records.read(tenant))).fields
        if not fields:
            ended, listed = yield from ask_all([self._has_ended(incarnation), self._is_listed(tenant)])
            return None if ended or not listed else Doomed(self._keys, tenant, incarnation, ())
        shards = int(fields.get("shards", 1))
        others = [f"{tenant}.{n}" for n in range(shards)] if shards > 1 else []
        doomed = Doomed(self._keys, tenant, incarnation, (tenant, *others))
        if not (yield from ask(doomed.close(tenant))):
            return None
        yield from ask_all([doomed.close(tag) for tag in others])
        yield from ask(self._index.confirm(tenant, incarnation, [0]))
        return doomed

    def _has_ended(self, incarnation: str) -> Operation[bool]:
        return Operation(("HGET", self._keys.control("purged"), incarnation), lambda stamp: stamp is not None)

    def _is_listed(self, tenant: str) -> Operation[bool]:
        return Operation(("ZSCORE", self._keys.control("tenants"), tenant), lambda score: score is not None)

    def _check_over(self, doomed: Doomed) -> Flow[None]:
        """Raises Dead if it only looks as if somebody else had ended it."""
        fields = (yield from ask(self._records.read(doomed.tenant))).fields
        if fields.get("incarnation") == begun(doomed.incarnation):
            raise Dead("a shard of the tenant has lost its record: whose its keys are cannot be told")

    def _remove(self, doomed: Doomed, order: Order) -> Flow[None]:
        seconds = round(self._settings.streams.replay_window_seconds)
        if not all((yield from ask_all([doomed.note_gone(p, seconds) for p in PARTITIONS]))):
            raise PurgeOver
        yield from self._count(
            doomed, "data_keys", (yield from self._destroy(doomed.tenant, doomed.incarnation))
        )
        scan = yield from self._block(partial(Scan, self._settings))
        try:
            kinds = sorted(self._kinds | (yield from self._kinds_there(scan)))
            closed_ms = now_ms = yield from self._now(doomed)
            commands = Commands(doomed, order.own, closed_ms)
            while True:
                entries = yield from commands.remove(kinds, now_ms)
                keys = yield from self._remove_keys(doomed, scan, order.told)
                if not entries + keys:
                    break
                now_ms = yield from self._now(doomed)
        finally:
            scan.close()
        yield from self._remove_records(doomed)

    def _now(self, doomed: Doomed) -> Flow[int]:
        """The server's time in ms."""
        return (yield from ask(self._records.read(doomed.tenant))).now_ms

    def _kinds_there(self, scan: Scan) -> Flow[frozenset[str]]:
        found: set[str | None] = set()
        pages = scan.pages(streams_pattern(self._keys.prefix), _PAGE)
        while page := (yield from self._next(pages)):
            found |= {kind_in(self._keys.prefix, name.decode("utf-8", "replace")) for name in page[1]}
        return frozenset(kind for kind in found if kind is not None)

    def _remove_keys(self, doomed: Doomed, scan: Scan, told: Callable[[int, int], None]) -> Flow[int]:
        """Look at all keys of the server once; answers how many of the tenant's were removed."""
        names = Names(self._keys.prefix, doomed.tenant)
        total, looked, removed = (yield from self._block(scan.size)), 0, 0
        pages = scan.pages(names.pattern, _PAGE)
        while page := (yield from self._next(pages)):
            number = sum((yield from ask_all(list(_removals(doomed, names, page[1])))))
            yield from self._count(doomed, "keys", number)
            looked, removed = looked + page[0], removed + number
            told(min(looked, total), total)
        return removed

    def _remove_records(self, doomed: Doomed) -> Flow[None]:
        """Its own slot last. The trail is there again if somebody was refused something meanwhile."""
        own, *others = doomed.tags
        for tag in others:
            try:
                yield from ask(doomed.remove(tag, [self._keys.record(tag)]))
            except PurgeOver:
                continue  # removed at an earlier try
        yield from ask(doomed.remove(own, [self._keys.audit(own), self._keys.record(own)]))

    def _forget(self, doomed: Doomed, order: Order) -> Flow[Removed]:
        dropped = yield from ask_all([doomed.dropped(p) for p in PARTITIONS])
        keys, data_keys = yield from ask(self._counted(doomed))
        removed = Removed(keys, sum(dropped), data_keys)
        deed = Deed(doomed.tenant, order.actor, "purge")
        about = {"incarnation": doomed.incarnation, "why": order.why, **asdict(removed)}
        control = self._keys.control
        names = [
            *(control("tenants"), control("tenants:reserved"), control("tenants:unrecorded")),
            *(control("purged"), self._tally(doomed), control("audit")),
        ]
        args = [doomed.tenant, doomed.digest, doomed.incarnation, *self._audit.arguments(deed, about)]
        yield from ask(_FORGET.call(names, args, bool))
        return removed

    # What has been removed, by this try and those before

    def _tally(self, doomed: Doomed) -> str:
        return self._keys.control(f"purging:{doomed.incarnation}")

    def _count(self, doomed: Doomed, what: str, number: int) -> Flow[None]:
        if number:
            args: list[Arg] = [_TALLY_SECONDS, what, number, doomed.incarnation]
            names = [self._tally(doomed), self._keys.control("purged")]
            yield from ask(_TALLY.call(names, args, int))

    def _counted(self, doomed: Doomed) -> Operation[tuple[int, int]]:
        def parse(reply: Any) -> tuple[int, int]:
            keys, data_keys = (int(value or 0) for value in reply)
            return keys, data_keys

        return Operation(("HMGET", self._tally(doomed), "keys", "data_keys"), parse)

    # What blocks

    def _next(self, pages: Iterator[tuple[int, list[bytes]]]) -> Flow[tuple[int, list[bytes]] | None]:
        page: tuple[int, list[bytes]] | None = yield from self._block(partial(next, pages, None))
        return page

    def _block(self, function: Callable[[], T]) -> Flow[T]:
        value: T = yield Call(partial(self._blocking, function))
        return value


def _removals(doomed: Doomed, names: Names, found: list[bytes]) -> Iterator[Operation[int]]:
    """One call for each slot. Records stay till the end."""
    slots: dict[tuple[bool, str], list[str]] = {}
    for name in {raw.decode("utf-8", "replace") for raw in found}:
        if (tag := names.tag(name)) in doomed.tags and name != doomed.keys.record(tag):
            slots.setdefault((True, tag), []).append(name)
        elif partition := names.partition(name):
            slots.setdefault((False, partition), []).append(name)
    for (own, place), several in slots.items():
        remove = doomed.remove if own else doomed.remove_usage
        for start in range(0, len(several), _STEP):
            yield remove(place, several[start : start + _STEP])
