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
        return Found(first, first, _tenant(fields), _complete(entry, fields))
    return Found(own, _replayed(own, entry.fields), _tenant(entry.fields), _complete(entry, entry.fields))


def _replayed(own: Ref, fields: list[bytes]) -> Ref | None:
    text = _last(fields, REPLAYED)
    if text is None:
        return None
    try:
        ref = Ref.parse(text.decode())
    except ValueError:
        return None
    return ref if (ref.kind, ref.partition) == (own.kind, own.partition) else None


def _complete(entry: Entry, fields: list[bytes]) -> list[bytes]:
    """The fields as they were sent, with the id and the time of issue that the server had to add."""
    present = fields[::2]
    if b"id" in present and b"at" in present:
        return fields
    command_id, at = identity_of(entry)
    added = [] if b"id" in present else [b"id", command_id.encode()]
    added += [] if b"at" in present else [b"at", at.encode()]
    return [*fields, *added]


def _tenant(fields: list[bytes]) -> str | None:
    tenant = _last(fields, b"tenant")
    return None if tenant is None else tenant.decode("utf-8", "replace")


def _last(fields: list[bytes], name: bytes) -> bytes | None:
    """Of a name that stands there twice the last one counts."""
    if name not in fields[::2]:
        return None
    return dict(zip(fields[::2], fields[1::2], strict=False)).get(name)
