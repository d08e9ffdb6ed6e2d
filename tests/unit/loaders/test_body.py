"""Bodies within a number of bytes, plain and packed."""

import gzip
import zlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riptide.cache.loaders import LoaderUnavailable
from riptide.cache.loaders.body import read_body
from riptide.errors import LoaderError, LoaderRefused


class Chunks:
    """Counts how far it was read."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            self.read += 1
            yield chunk


async def read(chunks: Chunks, encoding: str = "", most: int = 1000) -> bytes:
    return await read_body(aiter(chunks), encoding, most)


def split(data: bytes, size: int) -> Chunks:
    return Chunks(*(data[start : start + size] for start in range(0, len(data), size)))


@given(st.binary(max_size=3000), st.integers(1, 500), st.integers(0, 3000), st.booleans())
async def test_a_body_comes_whole_or_not_at_all(body: bytes, size: int, most: int, packed: bool) -> None:
    sent = gzip.compress(body[:1000]) + gzip.compress(body[1000:]) if packed else body
    chunks = split(sent, size)
    if len(body) <= most:
        assert await read(chunks, "gzip" if packed else "identity", most) == body
    else:
        with pytest.raises(LoaderRefused, match=r"cache\.loader_max_bytes"):
            await read(chunks, "gzip" if packed else "identity", most)


async def test_reading_stops_at_the_limit() -> None:
    chunks = Chunks(*[b"x" * 100] * 1000)
    with pytest.raises(LoaderRefused):
        await read(chunks)
    assert chunks.read == 11


async def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    produced = []
    real = zlib.decompressobj

    class Counting:
        def __init__(self, window: int) -> None:
            self._real = real(window)

        def decompress(self, data: bytes, most: int) -> bytes:
            piece = self._real.decompress(data, most)
            produced.append(len(piece))
            return piece

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    with pytest.raises(LoaderRefused):
        await read(Chunks(bomb), "gzip")
    assert sum(produced) == 1001


async def test_members_that_unpack_to_nothing_end_too() -> None:
    empty = gzip.compress(b"") * 1000
    chunks = Chunks(*[empty] * 1000)
    with pytest.raises(LoaderRefused):
        await read(chunks, "gzip")
    assert chunks.read < 10


async def test_damaged_truncated_and_unknown_encodings() -> None:
    packed = gzip.compress(b"hello" * 10)
    with pytest.raises(LoaderUnavailable, match="in the middle"):
        await read(Chunks(packed[:-5]), "gzip")
    with pytest.raises(LoaderError, match="damaged"):
        await read(Chunks(b"not gzip at all"), "gzip")
    for encoding in ("br", "zstd", "deflate", "gzip, gzip", "x" * 9999):
        with pytest.raises(LoaderError, match="only gzip") as caught:
            await read(Chunks(packed), encoding)
        assert len(str(caught.value)) < 200
    assert await read(Chunks(), "gzip") == b""
