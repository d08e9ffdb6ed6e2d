"""Compression by size: what to try, whether it was worth it, and how to undo it within bounds."""

import threading

import lz4.block
import zstandard

from riptide.config import CacheSettings

NONE, LZ4, ZSTD = 0, 1, 2
NAMES = {NONE: "none", LZ4: "lz4", ZSTD: "zstd"}

LZ4_UP_TO_BYTES = 100 * 1024
_ZSTD_LEVEL = 3
_FIXED = {"none": NONE, "lz4": LZ4, "zstd": ZSTD}


class Damaged(Exception):
    """Stored bytes are not what was written. Never leaves the cache: a damaged entry is a miss."""


class _Contexts(threading.local):
    """Contexts are costly to make and must not be shared between threads."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


class Codec:
    """Compresses and expands bodies. Safe to share between threads."""

    def __init__(self, settings: CacheSettings) -> None:
        self._settings = settings
        self._contexts = _Contexts()

    def compress(self, body: bytes) -> tuple[int, bytes]:
        """The codec that was used and the bytes to store: the body itself unless at least 10 % are saved."""
        codec = self._choose(len(body))
        if codec == NONE:
            return NONE, body
        if codec == LZ4:
            packed: bytes = lz4.block.compress(body, store_size=False)
        else:
            packed = self._contexts.compressor.compress(body)
        return (codec, packed) if len(packed) * 10 <= len(body) * 9 else (NONE, body)

    def _choose(self, size: int) -> int:
        settings = self._settings
        if size < settings.compression_threshold_bytes or not settings.enable_compression:
            return NONE
        if settings.compression_algorithm == "auto":
            return LZ4 if size <= LZ4_UP_TO_BYTES else ZSTD
        return _FIXED[settings.compression_algorithm]

    def expand(self, codec: int, packed: bytes, size: int) -> bytes:
        """The body of `size` bytes. Raises Damaged, and never allocates more than an entry may have."""
        if codec == NONE:
            if len(packed) != size:
                raise Damaged("the body has another length than its header says")
            return packed
        if size > self._settings.max_entry_size_bytes:
            raise Damaged(f"the header claims {size} bytes, more than cache.max_entry_size_bytes")
        try:
            body = self._expand(codec, packed, size)
        except (lz4.block.LZ4BlockError, zstandard.ZstdError, ValueError, OverflowError) as error:
            raise Damaged(f"{NAMES.get(codec, codec)}: {error}") from None
        if len(body) != size:
            raise Damaged("the body has another length than its header says")
        return body

    def _expand(self, codec: int, packed: bytes, size: int) -> bytes:
        if codec == LZ4:
            body: bytes = lz4.block.decompress(packed, uncompressed_size=size)
            return body
        if codec == ZSTD:
            # A frame that names its own size is believed by the library, so it is compared first.
            if zstandard.frame_content_size(packed) != size:
                raise Damaged("the zstd frame has another size than the header says")
            return self._contexts.decompressor.decompress(packed, max_output_size=size)
        raise Damaged(f"codec {codec} is unknown")
