"""Reading keys by their logical values, whatever their type, a page at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from riptide.state.batching import asked, grouped
from riptide.state.checkpoints.framing import Row
from riptide.state.checkpoints.rows import KEY
from riptide.state.checkpoints.sections import Section, tag_of
from riptide.store.operation import Operation
from riptide.store.script import Script
from riptide.store.sync import Store
from riptide.streams.message import pack_fields

_DUMP = Script.load("riptide.state", "dump.lua")
_PAGE = Script.load("riptide.state", "dump_page.lua")
#: Items of a page; with a value each they fit one call when they are put back.
_ITEMS = 400
_ENTRIES = 50
#: Keys that one call reads, some of which may have as many items.
_KEYS_PER_CALL = 50
#: With how many bytes it ends early: several calls are under way together.
ENOUGH_BYTES = 1024**2
Found = tuple[Section, str]


@dataclass(frozen=True, slots=True)
class Dumped:
    """A part of a key. `name` is without the deployment's prefix; `expires_ms` Unix ms, 0: never; `items`
    field, value or member, score or member or value or id, packed fields. `first` and `last` part may be
    one."""

    section: str
    name: str
    kind: str
    expires_ms: int
    first: bool
    last: bool
    items: list[bytes]

    def row(self) -> Row:
        flags = f"{int(self.first)}{int(self.last)}"
        head = KEY, self.section.encode(), self.name.encode(), self.kind.encode()
        return [*head, b"%d" % self.expires_ms, flags.encode(), *self.items]


def read_dumped(row: Sequence[bytes]) -> Dumped:
    """What `row` has made."""
    _, section, name, kind, expires, flags, *items = row
    first, last = flags.startswith(b"1"), flags.endswith(b"1")
    return Dumped(section.decode(), name.decode(), kind.decode(), int(expires), first, last, items)


def dump(store: Store, prefix: str, found: Iterable[Found]) -> Iterator[Dumped]:
    """The keys of some names (without `prefix`), as far as they are there."""
    groups = grouped(store, found, lambda one: tag_of(one[1]), _KEYS_PER_CALL)
    for (section, name), reply in asked(store, groups, lambda group: _dump(prefix, group)):
        if reply:
            yield from _dumped(store, prefix, section, name, reply)


def _dumped(store: Store, prefix: str, section: Section, name: str, reply: list[Any]) -> Iterator[Dumped]:
    kind, expires, count, *items = reply
    text, expires_ms = kind.decode(), max(0, expires)
    if count > _ITEMS or text == "stream":
        whole = Dumped(section.name, name, text, expires_ms, True, True, [])
        yield from _pages(store, prefix, section, whole)
    elif items:
        yield Dumped(section.name, name, text, expires_ms, True, True, items)


def _pages(store: Store, prefix: str, section: Section, whole: Dumped) -> Iterator[Dumped]:
    """The last page is the one after which none comes; it may be empty."""
    at, first = "", True
    while True:
        at, items = store.run(_page(f"{prefix}:{whole.name}", whole.kind, at))
        flat = _flat(whole.kind, items)
        if section.fields and whole.kind == "hash":
            pairs = zip(flat[::2], flat[1::2], strict=True)
            flat = [part for pair in pairs if pair[0].startswith(section.fields.encode()) for part in pair]
        for start in range(0, max(1, len(flat)), 2 * _ITEMS):  # a cursor may bring more than was asked for
            last = not at and start + 2 * _ITEMS >= len(flat)
            part = flat[start : start + 2 * _ITEMS]
            yield Dumped(whole.section, whole.name, whole.kind, whole.expires_ms, first, last, part)
            first = False
        if not at:
            return


def _flat(kind: str, items: list[Any]) -> list[bytes]:
    if kind != "stream":
        return items
    return [part for entry_id, fields in items for part in (entry_id, pack_fields(fields))]


def _dump(prefix: str, group: Sequence[Found]) -> Operation[list[list[Any]]]:
    names = [f"{prefix}:{name}" for _, name in group]
    return _DUMP.call(names, [_ITEMS, ENOUGH_BYTES, *(section.fields for section, _ in group)], list)


def _page(key: str, kind: str, at: str) -> Operation[tuple[str, list[Any]]]:
    def parse(reply: Any) -> tuple[str, list[Any]]:
        return reply[0].decode(), reply[1:]

    return _PAGE.call([key], [kind, at, _ENTRIES if kind == "stream" else _ITEMS], parse)
