"""The bytes of an entry: what goes in comes out, and no damage goes unnoticed."""

import json
import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from riptide.cache.codec import Codec, Damaged
from riptide.cache.entry import (
    HEADER_BYTES,
    NOTHING,
    Aging,
    Body,
    Entry,
    Metadata,
    Miss,
    encode,
    encode_metadata,
    open_entry,
    open_packed,
    open_plain,
    open_value,
    pack,
    with_epoch,
)
from riptide.cache.space import tag_id
from riptide.config import CacheSettings
from riptide.errors import InvalidInput

EPOCH = b"epoch--1"
CODEC = Codec(CacheSettings(compression_threshold_bytes=64))

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
jsons = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
values = jsons | st.binary() | st.text(alphabet="ab", min_size=500, max_size=2000)
metadatas = st.builds(
    Metadata,
    version=st.none() | st.text(min_size=1),
    content_type=st.none() | st.text(min_size=1),
    source=st.none() | st.text(min_size=1),
    tags=st.lists(st.text(min_size=1, max_size=100), max_size=5).map(tuple),
    attributes=st.dictionaries(st.text(), leaves, max_size=3),
)


def packed(value: Any, metadata: Metadata | None = None, **more: Any) -> bytes:
    metadata = metadata or Metadata()
    ids = b"".join(tag_id(tag) for tag in metadata.tags)
    return pack(
        encode(value, CODEC),
        epoch=EPOCH,
        created_ms=7,
        tag_ids=ids,
        metadata=encode_metadata(metadata),
        **more,
    )


def with_soft_expiry(data: bytes, soft: int) -> bytes:
    """What write.lua does."""
    checksum = struct.unpack_from("<Q", data, 12)[0]
    return data[:4] + struct.pack("<QQ", soft, checksum ^ soft) + data[20:]


def sealed(flags: int, codec: int, size: int, body: bytes) -> bytes:
    """An entry whose checksum is right, whatever it holds."""
    return pack(Body(flags, codec, size, body), epoch=EPOCH, created_ms=7)


@given(values, metadatas)
def test_round_trip(value: Any, metadata: Metadata) -> None:
    data = packed(value, metadata, stale_ms=5)
    assert open_value(data, EPOCH, CODEC) == value
    entry = open_entry(data, EPOCH, CODEC)
    assert isinstance(entry, Entry)
    assert (entry.value, entry.metadata, entry.created_ms, entry.stale_ms) == (value, metadata, 7, 5)
    assert entry.stored_bytes == len(data)
    assert not entry.negative


@given(values)
def test_types_survive(value: Any) -> None:
    again = open_value(packed(value), EPOCH, CODEC)
    assert type(again) is type(value)


def test_bytes_of_any_kind_come_back_as_bytes() -> None:
    for given_value in (bytearray(b"\xff\x00"), memoryview(b"\xff\x00")):
        assert open_value(packed(given_value), EPOCH, CODEC) == b"\xff\x00"


@pytest.mark.parametrize(
    "data",
    [
        packed(None),
        packed({"a": ["b"] * 100}, Metadata(tags=("t", "u"), version="1")),
        packed(b"\x00" * 300),
        with_soft_expiry(packed("soft", stale_ms=9), 1_700_000_000_000),
        pack(NOTHING, epoch=EPOCH, created_ms=1),
    ],
    ids=["small", "tagged", "compressed", "aging", "negative"],
)
def test_every_flipped_byte_is_noticed(data: bytes) -> None:
    open_entry(data, EPOCH, CODEC)
    for at in range(len(data)):
        for mask in (0x01, 0x80, 0xFF):
            broken = bytearray(data)
            broken[at] ^= mask
            with pytest.raises(Damaged):
                open_value(bytes(broken), EPOCH, CODEC)
            with pytest.raises(Damaged):
                open_entry(bytes(broken), EPOCH, CODEC)


@given(values, metadatas, st.data())
def test_truncated_or_grown_is_noticed(value: Any, metadata: Metadata, data: st.DataObject) -> None:
    whole = packed(value, metadata)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for broken in (cut, whole + b"\x00", b"\x00" + whole):
        with pytest.raises(Damaged):
            open_value(broken, EPOCH, CODEC)


@given(st.binary(max_size=300))
def test_garbage_is_noticed(data: bytes) -> None:
    with pytest.raises(Damaged):
        open_value(data, EPOCH, CODEC)


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**32 - 1), st.integers(0, 255), st.binary())
def test_nonsense_with_a_right_checksum_raises_nothing_else(
    flags: int, codec: int, size: int, tags: int, body: bytes
) -> None:
    """Whoever can write to the server can make the checksum right."""
    rest = struct.pack("<8sQBBBxIIIIQ", EPOCH, 1, flags, codec, tags, size % 40, size, 0, 0, 0) + body
    data = struct.pack("<4sQQ", b"RTC\x01", 0, xxh3_64_intdigest(rest)) + rest
    for read in (open_value, open_entry):
        with suppress(Damaged):
            read(data, EPOCH, CODEC)


def test_known_nonsense() -> None:
    for data in (
        sealed(0, 0, 3, b"{x}"),
        sealed(0x80, 0, 1, b"1"),
        sealed(0, 9, 1, b"1"),
        sealed(0, 0, 2, b"1"),
        pack(encode(1, CODEC), epoch=EPOCH, created_ms=1, metadata=b"[]"),
    ):
        with pytest.raises(Damaged):
            open_entry(data, EPOCH, CODEC)


def test_another_epoch_is_no_damage() -> None:
    assert open_value(packed(1), b"epoch--2", CODEC) is Miss.INVALIDATED
    assert open_entry(packed(1), b"epoch--2", CODEC) is Miss.INVALIDATED
    assert open_value(with_epoch(packed(1), b"epoch--2"), b"epoch--2", CODEC) == 1


def test_soft_expiry_is_told_to_the_reader() -> None:
    data = with_soft_expiry(packed([1], stale_ms=500), 1234)
    assert open_value(data, EPOCH, CODEC) == Aging([1], 1234)
    entry = open_entry(data, EPOCH, CODEC)
    assert isinstance(entry, Entry)
    assert (entry.value, entry.soft_expiry_ms, entry.stale_ms) == ([1], 1234, 500)


@given(st.lists(values, max_size=8))
def test_a_batch_yields_what_single_reads_do(given_values: list[Any]) -> None:
    """Of plain hits alone: the rest, and what is not there, is left out."""
    entries: list[bytes | None] = [packed(value) for value in given_values]
    plain = dict(enumerate(given_values))
    for at, data in enumerate(entries):
        if data is not None and data[37]:  # the codec
            del plain[at]
    others = (
        None,
        b"",
        packed("x")[:-1],
        packed("x") + b"x",
        b"RTC\x02" + packed("x")[4:],
        sealed(0, 0, 3, b"{x}"),
        with_epoch(packed("x"), b"epoch--2"),
        with_soft_expiry(packed("x", stale_ms=9), 1_700_000_000_000),
        pack(NOTHING, epoch=EPOCH, created_ms=1),
    )
    found: dict[str, Any] = {}
    open_plain([str(at) for at in range(len(entries) + len(others))], [*entries, *others], EPOCH, found)
    assert found == {str(at): value for at, value in plain.items()}


@given(values, metadatas)
def test_metadata_and_tags_are_no_part_of_a_batchs_value(value: Any, metadata: Metadata) -> None:
    data = packed(value, metadata)
    found: dict[str, Any] = {}
    open_plain(["k"], [data], EPOCH, found)
    assert found == ({} if data[37] else {"k": value})
    assert open_packed(with_epoch(data, b"epoch--9"), CODEC) == value


def test_negative() -> None:
    data = pack(NOTHING, epoch=EPOCH, created_ms=1)
    assert len(data) == HEADER_BYTES
    assert open_value(data, EPOCH, CODEC) is Miss.NEGATIVE
    entry = open_entry(data, EPOCH, CODEC)
    assert isinstance(entry, Entry)
    assert entry.negative
    assert entry.value is None


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [object(), "\ud800", {"a": {1: object()}}, nested(210), nested(5000), [10**4300], [1, -(10**9000)]],
)
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot be cached"):
        encode(value, CODEC)


@pytest.mark.parametrize("value", [[10**4299], "0" * 5000, [int("12" * 2000)] * 9])
def test_many_digits_are_not_a_number_too_long(value: Any) -> None:
    assert open_value(packed(value), EPOCH, CODEC) == value


def test_many_brackets_are_not_depth() -> None:
    value: list[Any] = [[]] * 1000
    assert open_value(packed(value), EPOCH, CODEC) == value


def test_metadata_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(InvalidInput, match="metadata"):
        encode_metadata(Metadata(attributes={"a": object()}))


def test_empty_metadata_takes_no_bytes() -> None:
    assert encode_metadata(Metadata()) == b""
    assert json.loads(encode_metadata(Metadata(version="2"))) == {"version": "2"}
