"""The old cache's interface over the new one."""

import pytest

from riptide.errors import InvalidInput
from riptide.reads.legacy import LegacyCache
from riptide.store.sync import Store

from .conftest import Elsewhere, Raw


@pytest.fixture
def legacy(elsewhere: Elsewhere, store: Store) -> LegacyCache:
    return LegacyCache(elsewhere(), store)


def test_texts(legacy: LegacyCache, elsewhere: Elsewhere, prefix: str) -> None:
    key = f"{prefix} page"
    assert legacy.get(key) is None
    legacy.set(key, "text ä", 100)
    assert legacy.get(key) == "text ä"
    cache = elsewhere()
    assert cache.get(key, tenant="default") == "text ä"
    entry = cache.entry(key)
    assert entry is not None
    assert 90_000 < entry.expires_in_ms <= 101_000
    with pytest.raises(InvalidInput):
        legacy.set(key, "text", 0)


def test_a_cut_over_starts_warm(legacy: LegacyCache, elsewhere: Elsewhere, raw: Raw, prefix: str) -> None:
    key = f"{prefix}:old"
    raw("SET", key, "old ä", "PX", 100_000)
    assert legacy.get(key) == "old ä"
    legacy.set(key, "new", 100)
    assert legacy.get(key) == "new"
    elsewhere().delete(key)
    assert legacy.get(key) is None, "the old value does not come back"


def test_what_the_old_cache_did_not_write_is_no_text(
    legacy: LegacyCache, elsewhere: Elsewhere, raw: Raw, prefix: str
) -> None:
    raw("SET", f"{prefix} binary", b"\xff\xfe", "PX", 100_000)
    raw(
        "EVAL",
        "redis.call('RPUSH', KEYS[1], 'x') redis.call('PEXPIRE', KEYS[1], 100000)",
        1,
        f"{prefix} list",
    )
    elsewhere().set(f"{prefix} object", {"a": 1})
    for name in ("binary", "list", "object"):
        assert legacy.get(f"{prefix} {name}") is None
