"""A damaged entry is a miss, is removed, is counted."""

import os
import random
from typing import Any

import pytest

from riptide.cache import restoring
from riptide.cache.entry import Miss
from riptide.cache.space import Shard
from riptide.store.keys import Keys
from tests.support.anybody import space_of

from .conftest import Elsewhere, Raw


@pytest.fixture
def place(prefix: str) -> tuple[Shard, str]:
    return space_of(Keys(prefix), "default", "default").place("k")


@pytest.fixture
def stored(place: tuple[Shard, str]) -> str:
    shard, digest = place
    return shard.entry(digest)


def flipped(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


@pytest.mark.parametrize("read", ["get", "get_many", "entry", "get_or_load", "touch then get"])
def test_damage_is_a_miss_removed_and_counted(
    cache: Any, raw: Raw, stored: str, rng: random.Random, read: str
) -> None:
    cache.set("k", {"v": "x" * 3000}, tags=["t"])
    raw("SET", stored, flipped(raw("GET", stored), rng), "PX", 100_000)
    match read:
        case "get":
            assert cache.get("k") is None
        case "get_many":
            assert cache.get_many(["k", "other"]) == {}
        case "entry":
            assert cache.entry("k") is None
        case "get_or_load":
            assert cache.get_or_load("k", lambda: "loaded") == "loaded"
            assert cache.get("k") == "loaded"
        case _:
            cache.touch("k", 1000)
            assert cache.get("k") is None
    # A flipped byte of the epoch is seen as damage too: the checksum is compared first.
    assert cache.stats().damaged == 1
    assert (raw("GET", stored) is None) == (read != "get_or_load")
    cache.set("k", 2)
    assert cache.get("k") == 2


def test_a_damaged_life_time_is_not_prolonged(cache: Any, raw: Raw, stored: str) -> None:
    """Bytes 56 to 63 say for how long the entry may be stale."""
    for at in range(56, 64):
        cache.set("k", 1)
        data = raw("GET", stored)
        raw("SET", stored, data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :], "PX", 100_000)
        cache.touch("k", 1000)
        assert cache.get("k") is None
    assert cache.stats().damaged == 8


@pytest.mark.parametrize("garbage", [b"", b"old cache's text", os.urandom(500), b"RTC\x01" + bytes(60)])
def test_garbage_is_damage(cache: Any, raw: Raw, stored: str, garbage: bytes) -> None:
    cache.set("k", 1)
    raw("SET", stored, garbage, "PX", 100_000)
    assert not cache.exists("k")
    assert cache.get("k") is None
    assert cache.inspect("k") is Miss.ABSENT
    assert cache.stats().damaged == 1


def test_a_value_written_meanwhile_is_not_removed(
    elsewhere: Elsewhere, raw: Raw, place: tuple[Shard, str]
) -> None:
    cache = elsewhere()
    cache.set("k", 1)
    shard, digest = place
    damaged = b"garbage"
    cache._drive(restoring.discard(shard, digest, damaged))
    assert cache.get("k") == 1
    raw("SET", shard.entry(digest), damaged, "PX", 100_000)
    cache._drive(restoring.discard(shard, digest, damaged))
    assert raw("GET", shard.entry(digest)) is None


def test_a_damaged_stale_entry_is_loaded_anew(cache: Any, raw: Raw, stored: str) -> None:
    cache.set("k", "old", ttl=1000, stale=1000)
    data = raw("GET", stored)
    # Byte 4 is the lowest of the soft expiry, which the checksum holds as well.
    raw("SET", stored, data[:4] + bytes([data[4] ^ 1]) + data[5:], "PX", 100_000)
    assert cache.warm("k", lambda: "new").outcome == "loaded"
    assert cache.get("k") == "new"
    assert cache.stats().damaged == 1
