"""Shards lie in different slots, and a real cluster accepts every script."""

from collections.abc import Callable

from redis.crc import key_slot

from .conftest import Make


def test_shards_are_spread_over_slots(make: Make, count_keys: Callable[[], dict[str, int]]) -> None:
    cache = make(shards=16)
    values = {f"key {n}": n for n in range(200)}
    cache.set_many(values, tags=["t"])
    assert cache.get_many(values) == values
    entries = [key for key in count_keys() if ":tenant:" in key and not key.endswith("~epoch")]
    assert len(entries) == 200
    assert len({key_slot(key.encode()) for key in entries}) == 16
    assert cache.invalidate(tags=["t"]) == 200
    assert not [key for key in count_keys() if ":tenant:" in key and not key.endswith("~epoch")]
