"""Reading an answer's body within a number of bytes, also when it is compressed."""

import zlib
from collections.abc import AsyncIterator

from riptide.cache.loaders.contract import LoaderUnavailable
from riptide.errors import LoaderError, LoaderRefused

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_GZIP_OVERHEAD = 64 * 1024  # bytes by which a body that cannot be compressed may grow


async def read_body(chunks: AsyncIterator[bytes], encoding: str, most: int) -> bytes:
    """The decoded body; raise LoaderRefused as soon as it exceeds `most` bytes, whatever is still to come."""
    match encoding.strip().lower():
        case "" | "identity":
            return await _plain(chunks, most)
        case "gzip" | "x-gzip":
            return await _gunzip(chunks, most)
    raise LoaderError(f"the answer is encoded as {encoding[:40]!r}, and only gzip was asked for")


async def _plain(chunks: AsyncIterator[bytes], most: int) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > most:
            raise too_large(most)
    return bytes(body)


async def _gunzip(chunks: AsyncIterator[bytes], most: int) -> bytes:
    # Not httpx's decoder: it unpacks a whole chunk at once, up to a thousand times its size.
    body = bytearray()
    received = 0
    member = None
    async for chunk in chunks:
        received += len(chunk)
        if received > most + _GZIP_OVERHEAD:  # empty members unpack to nothing, for ever
            raise too_large(most)
        packed = chunk
        while packed:
            if member is None or member.eof:
                member = zlib.decompressobj(_GZIP_WINDOW)
            body += _unpack(member, packed, most + 1 - len(body))
            if len(body) > most:
                raise too_large(most)
            packed = member.unused_data
    if member is not None and not member.eof:
        raise LoaderUnavailable("the answer ended in the middle of its gzip")
    return bytes(body)


def _unpack(member: "zlib._Decompress", packed: bytes, most: int) -> bytes:
    try:
        return member.decompress(packed, most)
    except zlib.error as error:
        raise LoaderError("the answer is damaged: its gzip cannot be unpacked") from error


def too_large(most: int) -> LoaderRefused:
    return LoaderRefused(f"the answer is larger than cache.loader_max_bytes ({most})")
