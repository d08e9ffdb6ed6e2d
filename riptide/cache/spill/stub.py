"""What stands for an entry while it is in the blob store, and what is in its blob. Pure.

A stub is an entry whose codec says SPILLED and whose body is the name of the blob, with its bytes. It has the
header and the tags of the entry, so that scripts treat it as that: soft expiry, epoch, negative or not. The
blob holds the entry as it was on the server; one of an encrypted tenant stays encrypted.
"""

import struct
from typing import NamedTuple

from xxhash import xxh3_64_digest, xxh3_64_intdigest

from riptide.cache.codec import Damaged
from riptide.cache.entry import HEADER_BYTES, MAGIC, SPILLED, TAG_BYTES
from riptide.errors import InvalidInput
from riptide.names import check_namespace
from riptide.tenants.accounts.blobs import fresh_name
from riptide.tenants.facts import Facts

PREFIX = "entries/"
#: What is smaller stays in memory: a stub takes up to 900 bytes, and is never taken for an entry to be moved.
LEAST_BYTES = 1024

_HEAD = struct.Struct("<4sQQ")
_CODEC_AT, _TAGS_AT, _KEY, _METADATA = 37, 38, slice(52, 56), slice(40, 44)
_BLOB_MAGIC, _CHECKSUM_BYTES = b"RTE\x01", 8


class Origin(NamedTuple):
    """Whose blob it is, by its name."""

    namespace: str
    digest: str


def blob_name(facts: Facts, now_ms: int, member: str) -> str:
    """A fresh name. It tells which entry it was made for, so that whether that still refers to it can be
    seen."""
    namespace, _, digest = member.partition(":")
    return fresh_name(PREFIX, facts, now_ms, f"-{digest}-{namespace}")


def origin_of(name: str) -> Origin | None:
    """None for another name."""
    try:
        _, _, digest, namespace = name.rpartition("/")[2].split("-", 3)
        int(digest, 16)
        return Origin(check_namespace(namespace), digest)
    except (ValueError, InvalidInput):
        return None


def stub_of(data: bytes, reference: str) -> bytes:
    """What is to stand for an entry. Raises Damaged unless it is an intact one, and none that is spilled."""
    _check(data)
    if is_stub(data):
        raise Damaged("a stub stands for no other")
    start = HEADER_BYTES + TAG_BYTES * data[_TAGS_AT]
    head = bytearray(data[20:start])
    head[_CODEC_AT - 20] = SPILLED
    for part in (_KEY, _METADATA):
        head[part.start - 20 : part.stop - 20] = bytes(4)
    return _headed(data, bytes(head) + reference.encode())


def is_stub(data: bytes) -> bool:
    """Whether an intact entry is one."""
    return data[_CODEC_AT] == SPILLED


def reference_in(data: bytes) -> str:
    """Where the entry of a stub is; '' for what is none."""
    if len(data) <= HEADER_BYTES or data[:4] != MAGIC or not is_stub(data):
        return ""
    return data[HEADER_BYTES + TAG_BYTES * data[_TAGS_AT] :].decode("ascii", "replace")


def whole(stub: bytes, data: bytes) -> bytes:
    """The entry that was spilled, with the soft expiry that its stub has by now.

    Raises Damaged unless it is the one for which the stub stands.
    """
    _check(data)
    if stub_of(data, reference_in(stub))[20:] != stub[20:]:
        raise Damaged("its blob holds another entry")
    return _headed(stub, data[20:])


def pack_blob(entry: str, data: bytes) -> bytes:
    """`entry` is its name on the server."""
    body = len(entry).to_bytes(2) + entry.encode() + data
    return _BLOB_MAGIC + xxh3_64_digest(body) + body


def unpack_blob(blob: bytes, entry: str) -> bytes:
    """The entry. Raises Damaged unless it is whole, and that one."""
    start = len(_BLOB_MAGIC) + _CHECKSUM_BYTES
    body = blob[start:]
    own = len(entry).to_bytes(2) + entry.encode()
    if blob[:start] != _BLOB_MAGIC + xxh3_64_digest(body) or body[: len(own)] != own:
        raise Damaged("its blob is not what was written")
    return body[len(own) :]


def _headed(like: bytes, rest: bytes) -> bytes:
    """With the soft expiry that another one has."""
    magic, soft, _ = _HEAD.unpack_from(like)
    return _HEAD.pack(magic, soft, xxh3_64_intdigest(rest) ^ soft) + rest


def _check(data: bytes) -> None:
    if len(data) < HEADER_BYTES:
        raise Damaged("shorter than a header")
    magic, soft, checksum = _HEAD.unpack_from(data)
    if magic != MAGIC or xxh3_64_intdigest(data[20:]) ^ soft != checksum:
        raise Damaged("the checksum differs")
