"""The wire format: what an entry of a command stream holds, and how it is read back (DESIGN §3)."""

import re
import struct
from dataclasses import dataclass
from functools import lru_cache

from riptide.errors import InvalidInput
from riptide.names import check_tenant

_LENGTH = struct.Struct(">I")
_WRAPPER = (b"id", b"at", b"src", b"attempts", b"orig")
# Keys are built of it: nothing may stand in it that means something there.
_REF = re.compile(r"[a-z][a-z0-9_]{0,62}\.[0-9]{1,5}\.[0-9]{1,20}-[0-9]{1,20}")
_ENTRY_ID = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}")
#: Bytes of an id or a trace at most.
LONGEST_TEXT = 512
MOST_ENTRY_BYTES = 64 * 1024**2
LONGEST_TEXT = 512
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
        if not _REF.fullmatch(text):
            raise InvalidInput(
                f"{text[:80]!r} is not a reference: "
                "it is written <type>.<partition>.<entry id>, as in warm.10.1763700000000-0"
            )
        return cls(*text.split("."))


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
    """An entry, read. `first` is the id of its first entry, which a retry keeps; `attempts` counts earlier
    starts."""

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


@dataclass(frozen=True, slots=True)
class Wrapped:
    """What a retried, handed-back or revived entry carries: the producer's fields, and its story so far."""

    id: bytes
    at: bytes
    first: str
    attempts: int
    packed: bytes


def _wrapped(fields: list[bytes]) -> Wrapped | None:
    """None for a producer's own entry, even one that looks like a wrapped one: its fields are its own."""
    if len(fields) != 2 * len(_WRAPPER) or fields[-2] != _WRAPPER[-1] or tuple(fields[::2]) != _WRAPPER:
        return None
    command_id, at, first, attempts, packed = fields[1::2]
    if not (_ENTRY_ID.fullmatch(first) and attempts.isdigit() and len(attempts) <= 9):
        return None
    try:
        original = unpack_fields(packed)
    except Malformed:
        return None
    if not original or len(original) % 2:
        return None
    return Wrapped(command_id, at, first.decode(), int(attempts), packed)


def original_fields(entry: Entry) -> bytes:
    """The fields as the producer sent them, packed; a retried entry carries them already.

    Of an entry that is larger than a server takes back in one piece, the values are cut.
    """
    wrapped = _wrapped(entry.fields)
    if wrapped is not None:
        return wrapped.packed
    if sum(map(len, entry.fields)) <= MOST_ENTRY_BYTES:
        return pack_fields(entry.fields)
    each = max(16, MOST_ENTRY_BYTES // 4 // len(entry.fields))
    return pack_fields([field[:each] for field in entry.fields])


def carried(entry: Entry) -> tuple[str, int]:
    """First entry id and number of earlier starts, readable even where the rest is not."""
    wrapped = _wrapped(entry.fields)
    if wrapped is None:
        return entry.id, entry.starts
    return wrapped.first, wrapped.attempts + entry.starts


def identity_of(entry: Entry) -> tuple[str, str]:
    """Command id and time of issue, for a retry or a dead letter; the entry's own if they cannot be read."""
    wrapped = _wrapped(entry.fields)
    given = _by_name(entry.fields)
    command_id, at = (wrapped.id, wrapped.at) if wrapped else (given.get(b"id", b""), given.get(b"at", b""))
    text = command_id[:LONGEST_TEXT].decode("utf-8", "replace") or _own_id(entry)
    return text, at.decode() if at.isdigit() and len(at) <= 15 else entry.id.partition("-")[0]


def read(entry: Entry, max_body_bytes: int) -> Message:
    """Read an entry's fields; raise Malformed, saying which field is wrong and why."""
    first, attempts = entry.id, entry.starts
    wrapped = _wrapped(entry.fields)
    if wrapped is None:
        given = _by_name(entry.fields)
    else:
        first, attempts = wrapped.first, attempts + wrapped.attempts
        given = _by_name(unpack_fields(wrapped.packed)) | {b"id": wrapped.id, b"at": wrapped.at}
    body = given.get(b"body")
    if body is None:
        raise Malformed("field 'body' is missing")
    if len(body) > max_body_bytes:
        raise Malformed(f"field 'body' has {len(body)} bytes; streams.max_body_bytes is {max_body_bytes}")
    tenant, trace, command_id = given.get(b"tenant"), given.get(b"trace"), given.get(b"id")
    version, at = given.get(b"v"), given.get(b"at")
    return Message(
        _text("id", command_id) if command_id else _own_id(entry),
        1 if version is None else _integer("v", version),
        None if tenant is None else _tenant(tenant),
        int(entry.id.partition("-")[0]) if at is None else _integer("at", at),
        body,
        None if trace is None else _text("trace", trace),
        first,
        attempts,
    )


def log_facts(entry: Entry) -> dict[str, str]:
    """What every log line about a command carries, even if the command cannot be read."""
    facts = {"command": entry.kind, "id": identity_of(entry)[0], "ref": str(_ref_of(entry))}
    fields = unpack_fields(original_fields(entry))
    if b"trace" in fields[::2]:
        facts["trace"] = _by_name(fields)[b"trace"][:LONGEST_TEXT].decode("utf-8", "replace")
    return facts


def _ref_of(entry: Entry) -> Ref:
    return Ref(entry.kind, entry.partition, carried(entry)[0])


def _own_id(entry: Entry) -> str:
    """What serves as the id where the producer gave none: entries of two streams may share an entry id."""
    return str(Ref(entry.kind, entry.partition, entry.id))


def _by_name(fields: list[bytes]) -> dict[bytes, bytes]:
    """Of a name that stands there twice the last one counts."""
    each = iter(fields)
    return dict(zip(each, each, strict=True))


def _text(name: str, value: bytes) -> str:
    if len(value) > LONGEST_TEXT:
        raise Malformed(f"field {name!r} has {len(value)} bytes; at most {LONGEST_TEXT} make sense")
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
