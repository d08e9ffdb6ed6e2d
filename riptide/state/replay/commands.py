"""Commands as they are found: each has one source, its first entry, however often it was retried."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from riptide.state.archive.segment import Row
from riptide.streams.message import (
    Entry,
    Ref,
    claim_of,
    identity_of,
    original_fields,
    unpack_fields,
)

#: Field of an entry that was replayed: the reference of the command that it repeats.
REPLAYED = b"replayed"


@dataclass(frozen=True, slots=True)
class Found:
    """One entry that carries a command.

    `source` is the command's first entry; `copy_of` is it too where this entry is another one: a retry, what
    was handed back or revived, or what an earlier replay has sent.
    """

    source: Ref
    copy_of: Ref | None
    tenant: str | None
    fields: list[bytes]


def found(kind: str, partition: str, rows: Iterable[Row]) -> Iterator[Found]:
    """The commands of a page."""
    for entry_id, fields in rows:
        if len(fields) >= 2:
            yield _found(Entry(kind, partition, entry_id, fields))


def _found(entry: Entry) -> Found:
    own = Ref(entry.kind, entry.partition, entry.id)
    entry.returned = claim_of(entry)
    if entry.returned is not None:
        first = Ref(entry.kind, entry.partition, entry.returned.first)
        fields = unpack_fields(original_fields(entry))
        names = fields[::2]
        return Found(first, first, _tenant(fields, names), _complete(entry, fields, names))
    fields, names = entry.fields, entry.fields[::2]
    return Found(own, _replayed(own, fields, names), _tenant(fields, names), _complete(entry, fields, names))


def _replayed(own: Ref, fields: list[bytes], names: list[bytes]) -> Ref | None:
    text = _last(fields, names, REPLAYED)
    if text is None:
        return None
    try:
        ref = Ref.parse(text.decode())
    except ValueError:
        return None
    return ref if (ref.kind, ref.partition) == (own.kind, own.partition) else None


def _complete(entry: Entry, fields: list[bytes], names: list[bytes]) -> list[bytes]:
    """The fields as they were sent, with the id and the time of issue that the server had to add."""
    if b"id" in names and b"at" in names:
        return fields
    command_id, at = identity_of(entry)
    added = [] if b"id" in names else [b"id", command_id.encode()]
    added += [] if b"at" in names else [b"at", at.encode()]
    return [*fields, *added]


def _tenant(fields: list[bytes], names: list[bytes]) -> str | None:
    tenant = _last(fields, names, b"tenant")
    return None if tenant is None else tenant.decode("utf-8", "replace")


def _last(fields: list[bytes], names: list[bytes], name: bytes) -> bytes | None:
    """Of a name that stands there twice the last one counts."""
    count = names.count(name)
    if count == 1 and len(fields) % 2 == 0:
        return fields[2 * names.index(name) + 1]
    return dict(zip(names, fields[1::2], strict=False)).get(name) if count else None
