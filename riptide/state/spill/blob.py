"""Blobs that hold the data of a session: what they are called, and what is in them. Pure.

The values in them are as they were on the server: those of an encrypted tenant stay encrypted.
"""

from collections.abc import Mapping

from xxhash import xxh3_64_digest

from riptide.errors import Damaged
from riptide.streams.message import Malformed, pack_fields, unpack_fields

#: Their names tell nothing of the session, whose id is a secret.
PREFIX = "sessions/"
_MAGIC = b"RTS\x01"
_CHECKSUM_BYTES = 8


def pack_blob(session_id: str, fields: Mapping[str, bytes]) -> bytes:
    parts = [
        session_id.encode(),
        *(part for name, value in fields.items() for part in (name.encode(), value)),
    ]
    body = pack_fields(parts)
    return _MAGIC + xxh3_64_digest(body) + body


def unpack_blob(blob: bytes, name: str, session_id: str) -> dict[str, bytes]:
    """The fields. Raises Damaged unless it is whole, and that session's."""
    body = blob[len(_MAGIC) + _CHECKSUM_BYTES :]
    if blob[: len(_MAGIC)] == _MAGIC and blob[len(_MAGIC) : len(_MAGIC) + _CHECKSUM_BYTES] == xxh3_64_digest(
        body
    ):
        try:
            owner, *parts = unpack_fields(body)
        except (Malformed, ValueError):
            owner, parts = b"", []
        if owner == session_id.encode():
            return {field.decode(): value for field, value in zip(parts[::2], parts[1::2], strict=True)}
    raise Damaged(f"the blob {name!r} does not hold the data of the session that refers to it")
