"""Which codec for which size, whether it pays, and that nothing expands beyond bounds."""

import os
import threading

import lz4.block
import pytest
import zstandard

from riptide.cache.codec import LZ4, NONE, ZSTD, Codec, Damaged
from riptide.config import CacheSettings

KIB = 1024


def text(size: int) -> bytes:
    return (b"a line of text that compresses well, as pages do\n" * (size // 49 + 1))[:size]


@pytest.mark.parametrize(
    ("size", "codec"),
    [(0, NONE), (1023, NONE), (1024, LZ4), (100 * KIB, LZ4), (100 * KIB + 1, ZSTD), (2_000_000, ZSTD)],
)
def test_auto_chooses_by_size(size: int, codec: int) -> None:
    codecs = Codec(CacheSettings())
    used, packed = codecs.compress(text(size))
    assert used == codec
    assert codecs.expand(used, packed, size) == text(size)


@pytest.mark.parametrize(("algorithm", "codec"), [("none", NONE), ("lz4", LZ4), ("zstd", ZSTD)])
def test_one_algorithm_by_configuration(algorithm: str, codec: int) -> None:
    codecs = Codec(CacheSettings(compression_algorithm=algorithm, compression_threshold_bytes=10))
    assert codecs.compress(text(9))[0] == NONE
    for size in (100, 500_000):
        used, packed = codecs.compress(text(size))
        assert used == codec
        assert codecs.expand(used, packed, size) == text(size)


def test_switched_off() -> None:
    assert Codec(CacheSettings(enable_compression=False)).compress(text(5000))[0] == NONE


@pytest.mark.parametrize("size", [5000, 500_000])
def test_kept_only_if_it_saves_a_tenth(size: int) -> None:
    codec = Codec(CacheSettings())
    noise = os.urandom(size)
    assert codec.compress(noise) == (NONE, noise)
    barely = os.urandom(size * 95 // 100) + bytes(size * 5 // 100)
    assert codec.compress(barely)[0] == NONE
    well = os.urandom(size * 85 // 100) + bytes(size * 15 // 100)
    assert codec.compress(well)[0] != NONE


BOMB = bytes(50 * KIB * KIB)


@pytest.mark.parametrize(
    ("codec", "packed"),
    [
        (ZSTD, zstandard.compress(BOMB)),
        (ZSTD, zstandard.ZstdCompressor(write_content_size=False).compress(BOMB)),
        (LZ4, lz4.block.compress(BOMB, store_size=False)),
        (NONE, bytes(2 * KIB * KIB)),
    ],
    ids=["zstd", "zstd without size", "lz4", "none"],
)
@pytest.mark.parametrize("claimed", [0, 1000, KIB * KIB, len(BOMB), 2**32 - 1])
def test_a_bomb_is_damage(codec: int, packed: bytes, claimed: int) -> None:
    codecs = Codec(CacheSettings(max_entry_size_bytes=KIB * KIB))
    with pytest.raises(Damaged):
        codecs.expand(codec, packed, claimed)


@pytest.mark.parametrize("codec", [LZ4, ZSTD, 3, 255])
@pytest.mark.parametrize("packed", [b"", b"\x00", b"garbage" * 9, os.urandom(300)])
def test_garbage_is_damage(codec: int, packed: bytes) -> None:
    with pytest.raises(Damaged):
        Codec(CacheSettings()).expand(codec, packed, 1000)


def test_contexts_are_not_shared_between_threads() -> None:
    codec = Codec(CacheSettings(compression_algorithm="zstd"))
    wrong: list[int] = []

    def work(number: int) -> None:
        body = bytes([number]) * 20_000 + os.urandom(2000)
        for _ in range(100):
            used, packed = codec.compress(body)
            if codec.expand(used, packed, len(body)) != body:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
