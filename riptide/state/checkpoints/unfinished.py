"""Commands that are not finished, with all their fields: those that are pending, wait for a retry, or were
given to nobody yet."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from riptide.state.archive.segment import Row as Entries
from riptide.state.checkpoints.framing import Row
from riptide.state.checkpoints.rows import COMMAND
from riptide.state.replay.commands import found
from riptide.store.keys import GROUP, PARTITIONS, Keys
from riptide.store.operation import Operation
from riptide.store.script import Script
from riptide.store.sync import Store
from riptide.streams.message import Malformed, Ref, unpack_fields

_UNFINISHED = Script.load("riptide.state", "unfinished.lua")
_RETRIES = Script.load("riptide.state", "waiting_retries.lua")
_FIRST_PAGE, _LARGEST_PAGE, _PAGE_BYTES = 20, 1000, 1024**2
_RETRIES_PAGE = 50


@dataclass(frozen=True, slots=True)
class Unfinished:
    """One command, by its first entry."""

    source: Ref
    fields: list[bytes]

    def row(self) -> Row:
        ref = self.source
        return [COMMAND, ref.kind.encode(), ref.partition.encode(), ref.entry_id.encode(), *self.fields]


def read_unfinished(row: list[bytes]) -> Unfinished:
    """What `row` has made."""
    _, kind, partition, first, *fields = row
    return Unfinished(Ref(kind.decode(), partition.decode(), first.decode()), fields)


def unfinished(store: Store, keys: Keys, kind: str, *, unread: bool) -> Iterator[Unfinished]:
    """Those of one type; `unread` ones are left out where another copy of them is kept. One that changes its
    state meanwhile may come twice."""
    for partition in _there(store, [keys.retry_bodies(kind, p) for p in PARTITIONS]):
        yield from _retries(store, keys, kind, partition)
    for slow in (False, True):
        for partition in _there(store, [keys.stream(kind, p, slow=slow) for p in PARTITIONS]):
            stream = keys.stream(kind, partition, slow=slow)
            for what in ("pending", "unread") if unread or slow else ("pending",):
                for rows in _pages(store, stream, what):
                    for one in found(kind, partition, rows):
                        yield Unfinished(one.source, one.fields)


def _there(store: Store, names: list[str]) -> list[str]:
    """The partitions, of all in order, whose key is there."""
    there = store.run_all([Operation(("EXISTS", name), bool) for name in names])
    return [partition for partition, exists in zip(PARTITIONS, there, strict=True) if exists]


def _pages(store: Store, stream: str, what: str) -> Iterator[list[Entries]]:
    """Of about a megabyte each."""
    after, count = "0-0", _FIRST_PAGE
    while True:
        after, rows = store.run(_page(stream, what, after, count))
        yield rows
        if not after:
            return
        size = sum(len(field) for _, fields in rows for field in fields)
        count = max(1, min(_LARGEST_PAGE, _PAGE_BYTES * len(rows) // max(1, size)))


def _page(stream: str, what: str, after: str, count: int) -> Operation[tuple[str, list[Entries]]]:
    def parse(reply: Any) -> tuple[str, list[Entries]]:
        return reply[0].decode(), [(entry.decode(), fields) for entry, fields in reply[1:]]

    return _UNFINISHED.call([stream], [GROUP, what, after, count], parse)


def _retries(store: Store, keys: Keys, kind: str, partition: str) -> Iterator[Unfinished]:
    def parse(reply: Any) -> tuple[bytes, list[Any]]:
        return reply[0], reply[1:]

    cursor = b"0"
    while True:
        bodies = keys.retry_bodies(kind, partition)
        cursor, rows = store.run(_RETRIES.call([bodies], [cursor, _RETRIES_PAGE], parse))
        for first, command_id, at, original in rows:
            try:
                fields = unpack_fields(original)
            except Malformed:
                continue
            present = set(fields[::2])
            given = ((b"id", command_id), (b"at", at))
            added = [part for name, value in given if name not in present for part in (name, value)]
            yield Unfinished(Ref(kind, partition, first.decode()), [*fields, *added])
        if cursor == b"0":
            return
