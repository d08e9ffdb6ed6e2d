"""Get, set, delete, exists, touch; metadata; batches; sizes; compression."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from commands import Invalidate
from riptide.cache.entry import Entry, Metadata, Miss
from riptide.cache.loaders.contract import Loaded
from riptide.errors import EntryTooLarge, InvalidInput

from .conftest import Make, Raw, until


@pytest.mark.parametrize(
    "value",
    [None, False, 0, "", "text ä", b"", b"\xff\x00", 2**70, [1, {"a": None}], {"k": [1.5]}, "x" * 200_000],
)
def test_what_is_set_is_got(cache: Any, value: Any) -> None:
    missing = object()
    assert cache.get("k", missing) is missing
    assert not cache.exists("k")
    cache.set("k", value)
    assert cache.get("k", missing) == value
    assert cache.exists("k")
    assert cache.delete("k")
    assert cache.get("k", missing) is missing
    assert not cache.delete("k")
    assert not cache.exists("k")


def test_the_last_write_wins(cache: Any) -> None:
    cache.set("k", 1)
    cache.set("k", b"2")
    assert cache.get("k") == b"2"


@pytest.mark.parametrize("key", ["{a}:b*\n", "ä" * 1000, "\x00", "~epoch"])
def test_any_text_is_a_key(cache: Any, key: str) -> None:
    cache.set(key, 1)
    assert cache.get(key) == 1
    assert cache.get(key + "x") is None
    assert cache.get_many([key]) == {key: 1}


@pytest.mark.parametrize("key", ["", "ä" * 1025, "\ud800", 7, ["a"]])
def test_what_an_invalidation_would_refuse_is_no_key_and_no_tag(cache: Any, key: Any) -> None:
    """Else an entry could be written that no command reaches."""
    with pytest.raises(ValidationError):
        Invalidate(keys=[key])
    with pytest.raises(ValidationError):
        Invalidate(tags=[key])
    uses: list[Callable[[], Any]] = [
        lambda: cache.set(key, 1),
        lambda: cache.set("k", 1, tags=[key]),
        lambda: cache.get(key),
        lambda: cache.get_many([key]),
        lambda: cache.delete(key),
        lambda: cache.invalidate(tags=[key]),
        lambda: cache.get_or_load(key, lambda: 1),
        lambda: cache.get_or_load("k", lambda: Loaded(1, tags=(key,))),
    ]
    for use in uses:
        with pytest.raises(InvalidInput, match="a text of 1 to 2,048 bytes in UTF-8"):
            use()
    assert cache.get("k") is None


@pytest.mark.parametrize("key", ["a", "\n", "ä" * 1024])
def test_what_is_a_key_or_a_tag_can_be_invalidated(cache: Any, key: str) -> None:
    command = Invalidate(keys=[key], tags=[key])
    cache.set(key, 1)
    assert cache.invalidate(keys=command.keys) == 1
    cache.set("k", 1, tags=[key])
    assert cache.invalidate(tags=command.tags) == 1


def test_metadata_travels_along(cache: Any) -> None:
    metadata = Metadata("7", "text/html", "https://origin/", ("a", "b"), {"lang": "de", "n": [1]})
    cache.set(
        "k",
        {"v": 1},
        ttl=100,
        version="7",
        content_type="text/html",
        source="https://origin/",
        tags=["a", "b"],
        attributes={"lang": "de", "n": [1]},
    )
    entry = cache.entry("k")
    assert isinstance(entry, Entry)
    assert (entry.value, entry.metadata, entry.tags) == ({"v": 1}, metadata, ("a", "b"))
    assert 90_000 < entry.expires_in_ms <= 101_000
    assert cache.get("k") == {"v": 1}
    assert cache.entry("other") is None
    assert cache.inspect("other") is Miss.ABSENT


def test_entries_end(cache: Any) -> None:
    cache.set("short", 1, ttl=0.02)
    cache.set("long", 1, ttl=1000)
    until(lambda: cache.get("short") is None)
    assert not cache.exists("short")
    assert cache.get("long") == 1


def test_the_configured_ttl(make: Make) -> None:
    cache = make(default_ttl_seconds=77)
    cache.set("k", 1)
    assert 70_000 < cache.entry("k").expires_in_ms <= 78_000


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 10**10, "1"])
def test_bad_ttls_are_refused(cache: Any, ttl: Any) -> None:
    with pytest.raises(InvalidInput, match="ttl"):
        cache.set("k", 1, ttl=ttl)
    with pytest.raises(InvalidInput, match="ttl"):
        cache.touch("k", ttl)
    with pytest.raises(InvalidInput, match="ttl"):
        cache.write_behind("k", 1, ttl=ttl)
    assert cache.get("k") is None


@pytest.mark.parametrize("tags", [[], ["a", "b"]])
@pytest.mark.parametrize("stale", [0, 500])
def test_touch_gives_a_new_time_to_live(cache: Any, tags: list[str], stale: float) -> None:
    cache.set("k", [1], ttl=50, stale=stale, tags=tags)
    assert cache.touch("k", 5000)
    entry = cache.entry("k")
    assert (5000 - 10 + stale) * 1000 < entry.expires_in_ms <= (5001 + stale) * 1000
    assert entry.value == [1]
    assert cache.touch("k", 20)
    assert cache.entry("k").expires_in_ms <= (21 + stale) * 1000
    assert not cache.touch("other", 10)
    cache.touch("k", 0.01)
    until(lambda: cache.get("k") is None)
    assert not cache.touch("k", 10), "what is over is not revived"


def test_a_touched_entry_is_still_found_by_its_tags(cache: Any) -> None:
    def touched() -> Any:
        cache.set_many({"k": 1, "untouched": 1}, ttl=0.03, tags=["a", "b"])
        return cache.touch("k", 5000)

    until(touched)  # before it was over
    until(lambda: cache.get("untouched") is None)
    cache.set("later", 1, tags=["b"])  # a write strikes what has expired off the index
    assert cache.invalidate(tags=["b"]) == 2
    assert cache.get("k") is None


def test_many_in_one_go(cache: Any) -> None:
    values: dict[str, Any] = {f"key {n}": {"n": n} for n in range(650)}
    cache.set_many(values, tags=["all"])
    assert cache.get_many([*values, "other"]) == values
    assert cache.get_many([]) == {}
    cache.set_many({})
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.sets) == (650, 1, 650)
    assert cache.invalidate(keys=list(values)) == 650
    assert cache.get_many(values) == {}


def test_set_many_is_all_or_nothing_for_bad_values(cache: Any) -> None:
    with pytest.raises(InvalidInput):
        cache.set_many({"a": 1, "b": object()})
    assert cache.get("a") is None


def test_size_limit(make: Make) -> None:
    cache = make(max_entry_size_bytes=10_000)
    cache.set("k", b"x" * 10_000)
    with pytest.raises(EntryTooLarge, match="max_entry_size_bytes = 10000; nothing was written"):
        cache.set("k", b"x" * 10_001)
    assert cache.get("k") == b"x" * 10_000


def test_twenty_mebibytes(cache: Any) -> None:
    value = os.urandom(20 * 1024**2)
    cache.set("k", value)
    assert cache.get("k") == value
    with pytest.raises(EntryTooLarge):
        cache.set("k", value + b"x")


@pytest.mark.parametrize(
    ("size", "compression"), [(1000, "none"), (1025, "lz4"), (100_000, "lz4"), (300_000, "zstd")]
)
def test_compression_by_size_and_its_figures(cache: Any, size: int, compression: str) -> None:
    cache.set("k", b"<p>page</p>" * (size // 11 + 1))
    entry = cache.entry("k")
    assert entry.compression == compression
    stats = cache.stats()
    assert (stats.value_bytes, stats.stored_bytes) == (entry.value_bytes, entry.stored_bytes)
    assert (stats.compression_ratio > 5) == (compression != "none")


def test_what_is_counted(cache: Any) -> None:
    cache.set("k", 1)
    cache.get("k")
    cache.get("other")
    cache.delete("k")
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.sets, stats.deletes, stats.hit_rate) == (1, 1, 1, 1, 0.5)


def test_another_version_sees_nothing(make: Make) -> None:
    old, new = make(version="1"), make(version="2")
    old.set("k", "old")
    assert new.get("k") is None
    new.set("k", "new")
    assert (old.get("k"), new.get("k")) == ("old", "new")


def test_two_processes_agree_on_the_epoch(make: Make) -> None:
    one, other = make(), make()
    one.set("a", 1)
    other.set("b", 2)
    one.invalidate_namespace("default")
    other.set_many({"b": 3, "c": 4})
    one.set("a", 5)
    for cache in (one, other):
        assert cache.get_many(["a", "b", "c"]) == {"a": 5, "b": 3, "c": 4}


def test_nothing_stays_for_ever(
    cache: Any, raw: Raw, prefix: str, count_keys: Callable[[], dict[str, int]]
) -> None:
    """Every key but an account and one small counter has a time to live, and epochs outlive entries."""
    cache.set("a", 1, ttl=100, tags=["t", "u"])
    cache.get_or_load("b", lambda: 2, tags=["t"])
    cache.invalidate(tags=["t"])
    cache.set("a", 1, ttl=100, tags=["t", "u"])
    left = count_keys()
    assert sorted(key for key, ttl in left.items() if ttl < 0) == [
        f"{prefix}:account:{{default}}",
        f"{prefix}:account:{{default}}:index",
        f"{prefix}:tag:{{default}}:~generation",
    ]
    assert left[f"{prefix}:tenant:{{default}}:default:~epoch"] > 100_000
