"""The bytes of an entry: header, ids of its tags, metadata, body. Pure; little-endian.

    0  magic and format   8 bytes from here to 20 are set by scripts, which know the server's clock
    4  soft expiry, Unix ms, 0 for none
    12 checksum: xxh3_64 of all from 20 on, XOR the soft expiry
    20 epoch of the namespace, 8 bytes
    28 created, Unix ms
    36 flags, 37 codec, 38 number of tags, 39 zero
    40 bytes of metadata, 44 bytes of the body before compression
    48 dictionary id, 52 data key id (0: not encrypted)
    56 ms that it may be served stale after its time to live
    64 tag ids, 8 bytes each; metadata, JSON, absent if empty; body; or both encrypted, see encryption.py

Scripts read the offsets too: lua/write, lease, touch, exists, drain.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from pydantic_core import from_json
from xxhash import xxh3_64_intdigest

from riptide.cache.codec import NAMES, Codec, Damaged
from riptide.store.json_values import encode_json

MAGIC = b"RTC\x01"
HEADER_BYTES = 64
TAG_BYTES = 8
MOST_TAGS = 64

_HEAD = struct.Struct("<4sQQ")
_REST = struct.Struct("<8sQBBBxIIIIQ")
# What a plain read needs, in one call; and what a batch does, where flags and codec are one number.
_unpack_hot = struct.Struct("<4sQQ8s8xBBBxII4xI8x").unpack_from
_unpack_plain = struct.Struct("<12sQ8s8xHBxI8xI8x").unpack_from
_PLAIN_HEAD = MAGIC + bytes(8)  # no soft expiry
_CHECKED, _EPOCH, _KEY, _TAGS_AT = slice(20, None), slice(20, 28), slice(52, 56), 38
_KEY_ID = struct.Struct("<I")

#: In place of a codec: the entry is in the blob store, and the body tells where, see spill/stub.py.
SPILLED = 255

_RAW = 1  # the body is bytes, not JSON
_NEGATIVE = 2  # the origin has no such value
_KNOWN_FLAGS = _RAW | _NEGATIVE


class Miss(Enum):
    """Why a read yields no value."""

    ABSENT = "there is no entry"
    INVALIDATED = "its namespace was invalidated"
    EXPIRED = "its time to live is over; it may only be served while it is loaded again"
    DAMAGED = "it was damaged, and has been removed"
    FOREIGN = "it was encrypted for another place or by a key that is gone, and has been removed"
    NEGATIVE = "the origin has no such value"
    SPILLED = "it is in the blob store"
    LOST = "it was spilled and its blob is gone, so it has been removed"
    UNREACHABLE = "it was spilled, and the blob store cannot be reached"


#: Stands for the value of an intact entry that is encrypted.
LOCKED: Any = object()


class Aging(NamedTuple):
    """A value with a soft expiry, which the reader has to compare with the server's clock."""

    value: Any
    soft_expiry_ms: int


@dataclass(frozen=True, slots=True)
class Metadata:
    """What travels along with a value."""

    version: str | None = None
    content_type: str | None = None
    source: str | None = None
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """A value with all that is known of it. Times are Unix milliseconds, sizes bytes."""

    value: Any
    metadata: Metadata
    created_ms: int
    soft_expiry_ms: int
    stale_ms: int
    negative: bool
    compression: str
    value_bytes: int
    stored_bytes: int
    #: Milliseconds until it leaves the server, its stale time included.
    expires_in_ms: int = 0

    @property
    def tags(self) -> tuple[str, ...]:
        return self.metadata.tags


class Header(NamedTuple):
    """What an entry says of itself, readable or not. `codec` is '?' if it is none of this release, or
    'spilled'; `intact` tells whether the checksum is right."""

    format: int
    intact: bool
    soft_expiry_ms: int
    epoch: bytes
    created_ms: int
    raw: bool
    negative: bool
    codec: str
    tags: int
    metadata_bytes: int
    value_bytes: int
    key_id: int
    stale_ms: int


class Body(NamedTuple):
    """An encoded value: how, how long it was, and what will be stored."""

    flags: int
    codec: int
    size: int
    packed: bytes


NOTHING = Body(_NEGATIVE, 0, 0, b"")


def encode(value: Any, codec: Codec) -> Body:
    """JSON of a value, or bytes as they are; compressed if that pays. Raises InvalidInput."""
    if isinstance(value, bytes | bytearray | memoryview):
        raw, flags = bytes(value), _RAW
    else:
        raw, flags = encode_json(value, "the value cannot be cached", "pass bytes or what JSON can hold"), 0
    name, packed = codec.compress(raw)
    return Body(flags, name, len(raw), packed)


def encode_metadata(metadata: Metadata) -> bytes:
    """JSON of the fields that are set; nothing if none is."""
    fields = {
        "version": metadata.version,
        "content_type": metadata.content_type,
        "source": metadata.source,
        "tags": metadata.tags,
        "attributes": metadata.attributes,
    }
    given = {name: value for name, value in fields.items() if value}
    return encode_json(given, "the metadata cannot be cached") if given else b""


def pack(
    body: Body,
    *,
    epoch: bytes,
    created_ms: int,
    stale_ms: int = 0,
    tag_ids: bytes = b"",
    metadata: bytes = b"",
) -> bytes:
    """An entry with no soft expiry yet: the script that writes it knows the server's clock."""
    flags, codec, size, packed = body
    tags = len(tag_ids) // TAG_BYTES
    header = _REST.pack(epoch, created_ms, flags, codec, tags, len(metadata), size, 0, 0, stale_ms)
    return _headed(b"".join((header, tag_ids, metadata, packed)))


def with_epoch(packed: bytes, epoch: bytes) -> bytes:
    """The same entry for another epoch of its namespace."""
    return _headed(epoch + packed[_EPOCH.stop :])


def _headed(rest: bytes) -> bytes:
    return _HEAD.pack(MAGIC, 0, xxh3_64_intdigest(rest)) + rest


class Parts(NamedTuple):
    """What encryption sees of an entry. `bound` stays readable and cannot be changed unnoticed: the header
    without soft expiry and checksum, and the tags' ids."""

    bound: bytes
    rest: bytes


def parts_of(data: bytes) -> Parts:
    """Of an intact entry."""
    start = HEADER_BYTES + TAG_BYTES * data[_TAGS_AT]
    return Parts(data[:4] + data[_CHECKED.start : start], data[start:])


def key_id_of(data: bytes) -> int:
    """By which data key an intact entry is encrypted; 0: it is not."""
    found: int = _KEY_ID.unpack_from(data, _KEY.start)[0]
    return found


def with_key(packed: bytes, key_id: int) -> bytes:
    """A packed entry whose header names a key; its rest is to be encrypted by that."""
    return _headed(packed[_CHECKED.start : _KEY.start] + _KEY_ID.pack(key_id) + packed[_KEY.stop :])


def with_rest(packed: bytes, rest: bytes) -> bytes:
    """The same header and tags with another rest."""
    start = HEADER_BYTES + TAG_BYTES * packed[_TAGS_AT]
    return _headed(packed[_CHECKED.start : start] + rest)


def open_value(data: bytes, epoch: bytes, codec: Codec, rest: bytes | None = None) -> Any:
    """The value, an Aging, a Miss or LOCKED. Raises Damaged for what was not packed here and kept intact.

    `rest` is what decryption made of a LOCKED one's.
    """
    try:
        magic, soft, checksum, written, flags, codec_id, tags, metadata_bytes, size, key_id = _unpack_hot(
            data
        )
    except struct.error:
        raise Damaged("shorter than a header") from None
    if rest is None and (magic != MAGIC or xxh3_64_intdigest(data[_CHECKED]) ^ soft != checksum):
        raise Damaged("the checksum differs")
    if written != epoch:
        return Miss.INVALIDATED
    if codec_id == SPILLED:
        return Miss.SPILLED
    if rest is not None:
        body = rest[metadata_bytes:]
    elif key_id:
        return LOCKED
    else:
        body = data[HEADER_BYTES + TAG_BYTES * tags + metadata_bytes :]
    if codec_id or len(body) != size:
        body = codec.expand(codec_id, body, size)
    value = _decode(body, flags) if flags != _RAW else body
    return Aging(value, soft) if soft else value


def open_packed(data: bytes, codec: Codec) -> Any:
    """What a hit of an entry just packed will yield: JSON's form of the value, or bytes."""
    return open_value(data, data[_EPOCH], codec)


def open_plain(
    keys: Iterable[str], entries: Iterable[bytes | None], epoch: bytes | None, found: dict[str, Any]
) -> None:
    """Put the values of plain hits into `found`; other entries want a closer look. Takes an entry for each
    key, and no more.

    A batch spends most of its time here, so what `open_value` does is written out for entries without
    compression and soft expiry. The checksum vouches for the lengths.
    """
    for key, data in zip(keys, entries, strict=False):
        if data is None:
            continue
        try:
            head, checksum, written, coding, tags, metadata_bytes, key_id = _unpack_plain(data)
            if head != _PLAIN_HEAD or written != epoch or coding > _RAW or key_id:
                continue
            if xxh3_64_intdigest(data[_CHECKED]) == checksum:
                body = data[HEADER_BYTES + TAG_BYTES * tags + metadata_bytes :]
                found[key] = body if coding else from_json(body)
        except (struct.error, ValueError):
            continue  # damaged, as a closer look will tell


def _decode(body: bytes, flags: int) -> Any:
    if flags == 0:
        try:
            return from_json(body)
        except ValueError as error:
            raise Damaged(f"not JSON: {error}") from None
    if flags & ~_KNOWN_FLAGS:
        raise Damaged(f"flags {flags} are unknown")
    return Miss.NEGATIVE


def open_entry(data: bytes, epoch: bytes, codec: Codec, rest: bytes | None = None) -> Entry | Miss:
    """The value with its header and metadata; Miss.INVALIDATED, Miss.SPILLED. Raises Damaged as `open_value`
    does."""
    value = open_value(data, epoch, codec, rest)
    if value is Miss.INVALIDATED or value is Miss.SPILLED:
        return value
    soft = _HEAD.unpack_from(data)[1]
    _, created, flags, codec_id, tags, metadata_bytes, size, _, _, stale = _REST.unpack_from(data, _HEAD.size)
    if rest is None:
        rest = data[HEADER_BYTES + TAG_BYTES * tags :]
    negative = bool(flags & _NEGATIVE)
    if isinstance(value, Aging):
        value = value.value
    return Entry(
        value=None if negative else value,
        metadata=_decode_metadata(rest[:metadata_bytes]),
        created_ms=created,
        soft_expiry_ms=soft,
        stale_ms=stale,
        negative=negative,
        compression=NAMES[codec_id],
        value_bytes=size,
        stored_bytes=len(data),
    )


def read_header(data: bytes) -> Header:
    """Raises Damaged for what begins otherwise than an entry."""
    if len(data) < HEADER_BYTES or data[:3] != MAGIC[:3]:
        raise Damaged("it does not begin as an entry does")
    _, soft, checksum = _HEAD.unpack_from(data)
    epoch, created, flags, codec, tags, metadata, size, _, key_id, stale = _REST.unpack_from(data, _HEAD.size)
    return Header(
        data[3],
        xxh3_64_intdigest(data[_CHECKED]) ^ soft == checksum and data[:4] == MAGIC,
        soft,
        epoch,
        created,
        bool(flags & _RAW),
        bool(flags & _NEGATIVE),
        "spilled" if codec == SPILLED else NAMES.get(codec, "?"),
        tags,
        metadata,
        size,
        key_id,
        stale,
    )


def _decode_metadata(encoded: bytes) -> Metadata:
    if not encoded:
        return Metadata()
    try:
        fields = from_json(encoded)
        return Metadata(**{**fields, "tags": tuple(fields.get("tags", ()))})
    except (ValueError, TypeError) as error:
        raise Damaged(f"metadata: {error}") from None
