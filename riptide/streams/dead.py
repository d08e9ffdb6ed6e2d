"""Dead letters: what could not be carried out, with its cause and all its fields."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from riptide.errors import InvalidInput
from riptide.store.keys import PARTITIONS, Keys
from riptide.store.operation import Flow, Operation, ask
from riptide.store.script import Script
from riptide.streams.message import Malformed, Ref, unpack_fields

_REVIVE = Script.load("riptide.streams", "revive.lua")
_RANGE = Script.load("riptide.streams", "range.lua")
_PAGE = 100
_MOST_SEEN = 2000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter. `ref` names it: `<type>.<partition>.<its id among the dead>`; `source` is what its
    publisher holds."""

    ref: Ref
    source: Ref
    id: str
    at_ms: int
    attempts: int
    worker: str
    reason: str
    error: str
    traceback: str
    original: bytes

    @property
    def died_ms(self) -> int:
        return int(self.ref.entry_id.partition("-")[0])

    def fields(self) -> list[tuple[bytes, bytes]]:
        """The fields as the producer sent them."""
        try:
            flat = unpack_fields(self.original)
        except Malformed:
            return [(b"orig", self.original)]
        return list(zip(flat[::2], flat[1::2], strict=True))

    @property
    def tenant(self) -> str | None:
        return next(
            (value.decode("utf-8", "replace") for name, value in self.fields() if name == b"tenant"), None
        )


@dataclass(frozen=True, slots=True)
class DeadPage:
    """Some dead letters; `cursor` is the one after which the next page begins, None: there is none."""

    letters: list[DeadLetter]
    cursor: Ref | None


def page(
    keys: Keys, kinds: Sequence[str], error: str | None, after: Ref | None, limit: int
) -> Flow[DeadPage]:
    """Up to `limit` dead letters of `kinds`, by type and partition; a hundred or so are read at a time, and
    2,000 at most."""
    found: list[DeadLetter] = []
    places = [(kind, partition) for kind in kinds for partition in PARTITIONS]
    start, seen = "-", 0
    if after is not None:
        if (after.kind, after.partition) not in places:
            raise InvalidInput(f"no page ended at {after}")
        places = places[places.index((after.kind, after.partition)) :]
        start = f"({after.entry_id}"
    for kind, partition in places:
        while True:
            rows = yield from ask(_range(keys, kind, partition, start, "+"))
            for one in rows:
                if len(found) == limit or seen == _MOST_SEEN:
                    return DeadPage(found, after)
                seen, after = seen + 1, one.ref
                if has_error(one, error):
                    found.append(one)
            if len(rows) < _PAGE:
                break
            start = f"({rows[-1].ref.entry_id}"
        start = "-"
    return DeadPage(found, None)


def has_error(letter: DeadLetter, error: str | None) -> bool:
    """Whether its reason or error contains `error`; None: any."""
    return error is None or error in letter.reason or error in letter.error


def letters(keys: Keys, kinds: Iterable[str], error: str | None = None) -> Flow[list[DeadLetter]]:
    """All dead letters of `kinds`, oldest first; with `error`, those whose reason or error contains it."""
    found: list[DeadLetter] = []
    for kind in kinds:
        for partition in PARTITIONS:
            found += yield from _of_stream(keys, kind, partition)
    return sorted(filter(lambda one: has_error(one, error), found), key=lambda letter: letter.died_ms)


def letter(keys: Keys, ref: Ref) -> Flow[DeadLetter | None]:
    """One dead letter, or None if it is gone."""
    rows = yield from ask(_range(keys, ref.kind, ref.partition, ref.entry_id, ref.entry_id))
    return rows[0] if rows else None


def revive(keys: Keys, dead: DeadLetter) -> Operation[bool]:
    """Put a dead letter back into its stream, to be tried from the start; False if it is gone."""
    kind, partition, first = dead.ref.kind, dead.ref.partition, dead.source.entry_id
    names = [
        keys.dead(kind, partition),
        keys.commands(kind, partition),
        keys.retry(kind, partition),
        keys.retry_bodies(kind, partition),
        keys.result(kind, partition, first),
    ]
    return _REVIVE.call(names, [dead.ref.entry_id, dead.id, dead.at_ms, first, dead.original], bool)


def drop(keys: Keys, ref: Ref) -> Operation[bool]:
    """Remove a dead letter for good; False if it is gone."""
    return Operation(("XDEL", keys.dead(ref.kind, ref.partition), ref.entry_id), bool)


def _of_stream(keys: Keys, kind: str, partition: str) -> Flow[list[DeadLetter]]:
    found: list[DeadLetter] = []
    start = "-"
    while True:
        page = yield from ask(_range(keys, kind, partition, start, "+"))
        found += page
        if len(page) < _PAGE:
            return found
        start = f"({page[-1].ref.entry_id}"


def _range(keys: Keys, kind: str, partition: str, start: str, end: str) -> Operation[list[DeadLetter]]:
    def parse(reply: Any) -> list[DeadLetter]:
        return [_parse(kind, partition, entry_id, fields) for entry_id, fields in reply]

    return _RANGE.call([keys.dead(kind, partition)], [start, end, _PAGE], parse)


def _parse(kind: str, partition: str, entry_id: bytes, flat: list[bytes]) -> DeadLetter:
    fields = dict(zip(flat[::2], flat[1::2], strict=True))

    def text(name: bytes) -> str:
        return fields.get(name, b"").decode("utf-8", "replace")

    def number(name: bytes) -> int:
        value = fields.get(name, b"0")
        return int(value) if value.isdigit() else 0

    ref = Ref(kind, partition, entry_id.decode())
    return DeadLetter(
        ref=ref,
        source=Ref(kind, partition, text(b"src") or ref.entry_id),
        id=text(b"id"),
        at_ms=number(b"at"),
        attempts=number(b"attempts"),
        worker=text(b"worker"),
        reason=text(b"reason"),
        error=text(b"error"),
        traceback=text(b"traceback"),
        original=fields.get(b"orig", b""),
    )
