"""Stubs of spilled entries: what they keep of the entry, and that no damage passes."""

import random

import pytest

from riptide.cache.codec import Codec, Damaged
from riptide.cache.entry import (
    HEADER_BYTES,
    Metadata,
    Miss,
    encode,
    encode_metadata,
    open_entry,
    open_value,
    pack,
)
from riptide.cache.spill.stub import (
    LEAST_BYTES,
    blob_name,
    is_stub,
    origin_of,
    pack_blob,
    reference_in,
    stub_of,
    unpack_blob,
    whole,
)
from riptide.config import CacheSettings
from riptide.tenants.accounts.blobs import written_ms
from riptide.tenants.facts import Facts

CODEC, EPOCH = Codec(CacheSettings()), b"12345678"
DIGEST = "0123456789abcdef" * 2


def entry(rng: random.Random, tags: int = 2) -> bytes:
    return pack(
        encode(rng.randbytes(2000), CODEC),
        epoch=EPOCH,
        created_ms=1_700_000_000_000,
        stale_ms=5,
        tag_ids=rng.randbytes(8 * tags),
        metadata=encode_metadata(Metadata("v1")),
    )


def with_soft(data: bytes, soft: int) -> bytes:
    """As scripts set it."""
    checksum = int.from_bytes(data[12:20], "little") ^ int.from_bytes(data[4:12], "little") ^ soft
    return data[:4] + soft.to_bytes(8, "little") + checksum.to_bytes(8, "little") + data[20:]


def test_an_entry_comes_back_with_the_soft_expiry_of_its_stub(rng: random.Random) -> None:
    data = with_soft(entry(rng), 17)
    stub = stub_of(data, "entries/a/b/c:9")
    assert is_stub(stub)
    assert reference_in(stub) == "entries/a/b/c:9"
    assert reference_in(data) == ""
    assert stub[20:37] == data[20:37]
    assert open_value(stub, EPOCH, CODEC) is Miss.SPILLED
    assert open_value(stub, b"other...", CODEC) is Miss.INVALIDATED
    assert whole(stub, data) == data
    touched = whole(with_soft(stub, 99), data)
    assert touched == with_soft(data, 99)
    found = open_entry(touched, EPOCH, CODEC)
    assert not isinstance(found, Miss)
    assert (found.soft_expiry_ms, found.metadata.version) == (99, "v1")


def test_another_entry_or_a_changed_one_is_refused(rng: random.Random) -> None:
    data, other = entry(rng), entry(rng)
    stub = stub_of(data, "entries/a/b/c:9")
    for wrong in (other, stub):
        with pytest.raises(Damaged):
            whole(stub, wrong)
    for place in rng.sample(range(len(data)), 60):
        wrong = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(Damaged):
            whole(stub, wrong)
        with pytest.raises(Damaged):
            stub_of(wrong, "entries/a/b/c:9")
    blob = pack_blob("riptide:tenant:{a}:n:0", data)
    assert unpack_blob(blob, "riptide:tenant:{a}:n:0") == data
    for wrong in (blob[:-1], blob[1:], b"", blob[:20] + b"x" + blob[21:]):
        with pytest.raises(Damaged):
            unpack_blob(wrong, "riptide:tenant:{a}:n:0")
    with pytest.raises(Damaged):
        unpack_blob(blob, "riptide:tenant:{a}:n:1")


def test_the_largest_stub_is_too_small_to_be_moved(rng: random.Random) -> None:
    facts = Facts("t" * 63, "f" * 16)
    name = blob_name(facts, 1_700_000_000_000, f"{'n' * 63}:{DIGEST}")
    stub = stub_of(entry(rng, tags=64), f"{name}:{10**10}")
    assert HEADER_BYTES < len(stub) < LEAST_BYTES


def test_a_name_tells_whose_it_is() -> None:
    name = blob_name(Facts("acme", "inc"), 17, f"a-b.c:{DIGEST}")
    assert name.startswith("entries/acme/inc/17-")
    assert written_ms(name) == 17
    assert origin_of(name) == ("a-b.c", DIGEST)
    for other in ("entries/acme/inc/17-ab", "sessions/acme/inc/17-00", f"x/1-2-zz{DIGEST}-n", ""):
        assert origin_of(other) is None
