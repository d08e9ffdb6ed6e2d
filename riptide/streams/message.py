"""The wire format: what an entry of a command stream holds, and how it is read back (DESIGN §3)."""

import struct
from dataclasses import dataclass
from functools import lru_cache

from riptide.errors import InvalidInput
from riptide.names import check_tenant

_LENGTH = struct.Struct(">I")
_LONGEST_TEXT = 512
_DIGITS = 15  # of a number that stays exact in every language


class Malformed(ValueError):
    """An entry cannot be read; the message says which field is wrong."""


@dataclass(frozen=True, slots=True)
class Ref:
    """How callers name a command: `<type>.<partition>.<entry id>`."""

    kind: str
    partition: str
    entry_id: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.partition}.{self.entry_id}"

    @classmethod
    def parse(cls, text: str) -> "Ref":
        """Raise InvalidInput if `text` is no reference."""
        parts = text.split(".")
        milliseconds, _, sequence = parts[-1].partition("-")
        if len(parts) != 3 or not all(parts) or not (_is_number(milliseconds) and _is_number(sequence)):
            raise InvalidInput(
                f"{text[:80]!r} is not a reference: it is written <type>.<partition>.<entry id>, as in warm.10.1763700000000-0"
            )
        return cls(*parts)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20


@dataclass(slots=True)
class Entry:
    """One delivery: where it came from, and its fields as they stand in the stream (name, value, …)."""

    kind: str
    partition: str
    id: str
    fields: list[bytes]
    starts: int = 0  # how often a handler was started for this delivery before this one


@dataclass(slots=True)
class Message:
    """An entry, read. `first` is the id of its first entry, which a retry keeps; `attempts` counts earlier starts."""

    id: str
    version: int
    tenant: str | None
    at_ms: int
    body: bytes
    trace: str | None
    first: str
    attempts: int


def pack_fields(fields: list[bytes]) -> bytes:
    """Fields as one binary string, whatever their number: each with its length before it."""
    return b"".join(part for field in fields for part in (_LENGTH.pack(len(field)), field))


def unpack_fields(packed: bytes) -> list[bytes]:
    """Raise Malformed if `packed` was not made by `pack_fields`."""
    fields, at = [], 0
    while at < len(packed):
        if at + 4 > len(packed):
            raise Malformed("field 'orig' is cut short")
        (length,) = _LENGTH.unpack_from(packed, at)
        at += 4
        if at + length > len(packed):
            raise Malformed("field 'orig' is cut short")
        fields.append(packed[at : at + length])
        at += length
    return fields


def original_fields(entry: Entry) -> bytes:
    """The fields as the producer sent them, packed; a retried entry carries them already."""
    orig = _find(entry.fields, b"orig")
    return pack_fields(entry.fields) if orig is None else orig


def carried(entry: Entry) -> tuple[str, int]:
    """First entry id and number of earlier starts, readable even where the rest is not."""
    fields = entry.fields
    if _find(fields, b"orig") is None:
        return entry.id, entry.starts
    first, attempts = _find(fields, b"src"), _find(fields, b"attempts")
    count = int(attempts) if attempts and attempts.isdigit() and len(attempts) <= 9 else 0
    return (first.decode("ascii", "replace") if first else entry.id), count + entry.starts


def identity_of(entry: Entry) -> tuple[str, str]:
    """Command id and time of issue, for a retry or a dead letter; the entry's own where they cannot be read."""
    given = _values(entry.fields)
    command_id = (given.get(b"id") or b"")[:_LONGEST_TEXT].decode("utf-8", "replace") or entry.id
    at = given.get(b"at") or b""
    return command_id, at.decode() if at.isdigit() and len(at) <= _DIGITS else entry.id.partition("-")[0]


def read(entry: Entry, max_body_bytes: int) -> Message:
    """Read an entry's fields; raise Malformed, saying which field is wrong and why."""
    given = _values(entry.fields)
    first, attempts = entry.id, entry.starts
    if b"orig" in given:
        first, attempts = carried(entry)
        given = _values(unpack_fields(given[b"orig"])) | {
            name: given[name] for name in (b"id", b"at") if name in given
        }
    body = given.get(b"body")
    if body is None:
        raise Malformed("field 'body' is missing")
    if len(body) > max_body_bytes:
        raise Malformed(f"field 'body' has {len(body)} bytes; streams.max_body_bytes is {max_body_bytes}")
    version, at, tenant, trace = given.get(b"v"), given.get(b"at"), given.get(b"tenant"), given.get(b"trace")
    return Message(
        _text("id", given.get(b"id") or entry.id.encode()),
        1 if version is None else _integer("v", version),
        None if tenant is None else _tenant(tenant),
        int(entry.id.partition("-")[0]) if at is None else _integer("at", at),
        body,
        None if trace is None else _text("trace", trace),
        first,
        attempts,
    )


def _values(fields: list[bytes]) -> dict[bytes, bytes]:
    each = iter(fields)
    return dict(zip(each, each, strict=True))


def _find(fields: list[bytes], name: bytes) -> bytes | None:
    if name not in fields:  # the usual case, at the speed of C
        return None
    for at in range(0, len(fields) - 1, 2):
        if fields[at] == name:
            return fields[at + 1]
    return None


def _text(name: str, value: bytes) -> str:
    if len(value) > _LONGEST_TEXT:
        raise Malformed(f"field {name!r} has {len(value)} bytes; at most {_LONGEST_TEXT} make sense")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Malformed(f"field {name!r} is not UTF-8") from None


def _integer(name: str, value: bytes) -> int:
    if not value.isdigit() or len(value) > _DIGITS:
        raise Malformed(f"field {name!r} is not a whole number")
    return int(value)


@lru_cache(maxsize=4096)
def _tenant(value: bytes) -> str:
    try:
        return check_tenant(_text("tenant", value))
    except InvalidInput as error:
        raise Malformed(f"field 'tenant': {error}") from None
