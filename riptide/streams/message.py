"""The wire format: what an entry of a command stream holds, and how it is read back (docs/producing.md)."""

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from riptide.errors import InvalidInput
from riptide.names import check_tenant

_LENGTH = struct.Struct(">I")
_WRAPPER = (b"id", b"at", b"src", b"attempts", b"orig")
_READ = (b"id", b"v", b"at", b"body", b"tenant", b"trace", b"due")
#: What most entries hold, in the order in which this library publishes it.
_USUAL = list(_READ[:5])
# Keys are built of it: nothing may stand in it that means something there.
_REF = re.compile(r"[a-z][a-z0-9_]{0,62}\.[0-9]{1,5}\.[0-9]{1,20}-[0-9]{1,20}")
_ENTRY_ID = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}")
_GREATEST_ID_PART = 2**64 - 1
#: Bytes of an id or a trace at most.
LONGEST_TEXT = 512
MOST_ENTRY_BYTES = 64 * 1024**2
#: A command may be published for a time that lies so far ahead.
LONGEST_DELAY_MS = 366 * 86_400_000
_SKEW_MS = 86_400_000  # between the publisher's clock and the server's
_SHOWN = 80
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
        if isinstance(text, str) and _REF.fullmatch(text):
            kind, partition, entry_id = text.split(".")
            if all(int(part) <= _GREATEST_ID_PART for part in entry_id.split("-")):
                return cls(kind, partition, entry_id)
        shown = repr(text)
        raise InvalidInput(
            f"{shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'} is not a reference: "
            "it is written <type>.<partition>.<entry id>, as in warm.10.1763700000000-0"
        )


@dataclass(slots=True)
class Entry:
    """One delivery: where it came from, and its fields as they stand in the stream (name, value, …)."""

    kind: str
    partition: str
    id: str
    fields: list[bytes]
    starts: int = 0  # how often a handler was started for this delivery before this one
    #: Its story, once the server has confirmed that it was put back; what anybody may claim is not believed.
    returned: "Returned | None" = None
    #: It was moved out of the way of other tenants.
    slow: bool = False
    #: Its progress has been written beside its result.
    noted: bool = False


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
    #: When it may be started (Unix ms), if that was not yet when this delivery came to its stream.
    due_ms: int | None = None


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
class Returned:
    """What a retried, handed-back or revived entry carries: the producer's fields, and its story so far."""

    id: bytes
    at: bytes
    first: str
    attempts: int
    packed: bytes


def seems_returned(entry: Entry) -> bool:
    """Whether `claim_of` is worth asking; quick, for every entry passes here."""
    return entry.fields[-2] == _WRAPPER[-1] and len(entry.fields) == 2 * len(_WRAPPER)


def claim_of(entry: Entry) -> Returned | None:
    """What an entry that has the form of one put back claims to be; None for any other."""
    return _claim(entry.fields) if seems_returned(entry) else None


def _claim(fields: list[bytes]) -> Returned | None:
    if tuple(fields[::2]) != _WRAPPER:
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
    return Returned(command_id, at, first.decode(), int(attempts), packed)


def tenant_of(entry: Entry) -> bytes:
    """Whose command it is, as it says itself; nothing for nobody's, and where it cannot be read."""
    try:
        claim = claim_of(entry)
        return _by_name(unpack_fields(claim.packed) if claim else entry.fields).get(b"tenant", b"")
    except (Malformed, ValueError):
        return b""


def original_fields(entry: Entry) -> bytes:
    """The fields as the producer sent them, packed; an entry that was put back carries them already.

    Of an entry that is larger than a server takes back in one piece, values that nobody reads are cut.
    """
    if entry.returned is not None:
        return entry.returned.packed
    return pack_fields(_cut(entry.fields) if is_too_large(entry) else entry.fields)


def is_too_large(entry: Entry) -> bool:
    """Whether `original_fields` has to cut something."""
    return entry.returned is None and sum(map(len, entry.fields)) > MOST_ENTRY_BYTES


def _cut(fields: list[bytes]) -> list[bytes]:
    each = max(16, MOST_ENTRY_BYTES // 4 // len(fields))
    place = {name: at + 1 for at, name in enumerate(fields) if at % 2 == 0}
    # Whatever is read stays whole: it may still be carried out, at another try.
    whole = {place[name]: LONGEST_TEXT for name in _READ if name in place}
    if b"body" in place:
        whole[place[b"body"]] = MOST_ENTRY_BYTES
    return [field if len(field) <= whole.get(at, 0) else field[:each] for at, field in enumerate(fields)]


def carried(entry: Entry) -> tuple[str, int]:
    """First entry id and number of earlier starts, readable even where the rest is not."""
    if entry.returned is None:
        return entry.id, entry.starts
    return entry.returned.first, entry.returned.attempts + entry.starts


def identity_of(entry: Entry) -> tuple[str, str]:
    """Command id and time of issue, for a retry or a dead letter; the entry's own if they cannot be read."""
    if entry.returned is not None:
        command_id, at = entry.returned.id, entry.returned.at
    else:
        given = _by_name(entry.fields)
        command_id, at = given.get(b"id", b""), given.get(b"at", b"")
    text = command_id[:LONGEST_TEXT].decode("utf-8", "replace") or _own_id(entry)
    return text, at.decode() if at.isdigit() and len(at) <= 15 else entry.id.partition("-")[0]


def read(entry: Entry, max_body_bytes: int) -> Message:
    """Read an entry's fields; raise Malformed, saying which field is wrong and why."""
    first, attempts, returned = entry.id, entry.starts, entry.returned
    values: Iterable[bytes | None]
    if returned is not None:
        first, attempts = returned.first, attempts + returned.attempts
        given = _by_name(unpack_fields(returned.packed)) | {b"id": returned.id, b"at": returned.at}
        values = map(given.get, _READ)
    elif entry.fields[::2] == _USUAL:
        values = *entry.fields[1::2], None, None
    else:
        values = map(_by_name(entry.fields).get, _READ)
    command_id, version, at, body, tenant, trace, due = values
    if body is None:
        raise Malformed(f"field 'body' is missing{_false_claim(entry)}")
    if len(body) > max_body_bytes:
        raise Malformed(f"field 'body' has {len(body)} bytes; streams.max_body_bytes is {max_body_bytes}")
    return Message(
        _text("id", command_id) if command_id else _own_id(entry),
        1 if version is None or version == b"1" else _integer("v", version),
        None if tenant is None else _tenant(tenant),
        int(entry.id.partition("-")[0]) if at is None else _integer("at", at),
        body,
        None if trace is None else _text("trace", trace),
        first,
        attempts,
        None if due is None else _due(due, first, entry.id),
    )


def _due(value: bytes, first: str, entry_id: str) -> int | None:
    """Entry ids tell the server's time, so its clock alone decides."""
    issued, here = (int(each.partition("-")[0]) for each in (first, entry_id))
    due = issued + _integer("due", value[1:]) if value.startswith(b"+") else _integer("due", value)
    if due > issued + LONGEST_DELAY_MS + _SKEW_MS:
        raise Malformed("field 'due' lies more than 366 days ahead")
    return due if due > here else None


def _false_claim(entry: Entry) -> str:
    claim = _claim(entry.fields if entry.returned is None else unpack_fields(entry.returned.packed))
    return "" if claim is None else f"; it looks like a retry of {claim.first}, but no worker put it there"


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
    return dict(zip(each, each))  # noqa: B905 - they come in pairs; to say so costs as much as a third of this


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
