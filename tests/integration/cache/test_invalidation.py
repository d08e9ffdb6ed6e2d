"""By key, tag, namespace and tenant, on one shard and on several."""

from collections.abc import Callable
from typing import Any

import pytest

from riptide.cache.entry import Miss
from riptide.cache.space import tag_id
from riptide.errors import InvalidInput
from riptide.store.keys import Keys

from .conftest import Make, Raw


@pytest.fixture(params=[1, 16], ids=["1 shard", "16 shards"])
def cache(request: pytest.FixtureRequest, make: Make) -> Any:
    return make(shards=request.param)


def test_keys(cache: Any) -> None:
    cache.set_many({"a": 1, "b": 2, "c": 3})
    assert cache.invalidate(keys=["a", "b", "other"]) == 2
    assert cache.get_many(["a", "b", "c"]) == {"c": 3}
    assert cache.invalidate(keys=[]) == 0
    assert cache.invalidate() == 0
    assert cache.get("c") == 3


def test_tags(cache: Any) -> None:
    cache.set("a", 1, tags=["red"])
    cache.set("b", 2, tags=["red", "blue"])
    cache.set("c", 3, tags=["blue"])
    cache.set("d", 4)
    assert cache.invalidate(tags=["red"]) == 2
    assert cache.get_many(iter("abcd")) == {"c": 3, "d": 4}
    assert cache.invalidate(tags=["red"]) == 0
    assert cache.invalidate(tags=["green", "blue", "red"]) == 1
    assert cache.get_many(["c", "d"]) == {"d": 4}


def test_an_entry_counts_with_the_tags_it_bears_now(cache: Any) -> None:
    cache.set("k", 1, tags=["old", "both"])
    cache.set("k", 2, tags=["both", "new"])
    assert cache.invalidate(tags=["old"]) == 0
    assert cache.get("k") == 2
    cache.set("k", 3)
    assert cache.invalidate(tags=["new", "both"]) == 0
    assert cache.get("k") == 3
    cache.set("k", 4, tags=["new"])
    cache.delete("k")
    cache.set("k", 5)
    assert cache.invalidate(tags=["new"]) == 0
    assert cache.get("k") == 5


def test_a_big_tag_goes_in_steps(cache: Any) -> None:
    values: dict[str, Any] = {f"key {n}": n for n in range(2500)}
    cache.set_many(values, tags=["all"])
    cache.set("other", 1)
    assert cache.invalidate(tags=["all"]) == 2500
    assert cache.get_many([*values, "other"]) == {"other": 1}


def test_an_invalidation_that_broke_off_is_taken_up(make: Make, raw: Raw, prefix: str) -> None:
    """A crash between the steps leaves the doomed index; the next invalidation drains it, then its own."""
    cache = make()
    cache.set("a", 1, tags=["t"])
    keys = Keys(prefix), "default", "default", tag_id("t").hex()
    raw("EVAL", "redis.call('RENAME', KEYS[1], KEYS[2])", 2, Keys.tag(*keys), Keys.tag_doomed(*keys))
    cache.set("b", 2, tags=["t"])
    assert cache.invalidate(tags=["t"]) == 2
    assert cache.get_many(["a", "b"]) == {}


def test_a_namespace_goes_at_once(cache: Any) -> None:
    cache.set_many({str(n): n for n in range(40)}, namespace="pages")
    cache.set("k", 1, namespace="other")
    cache.invalidate_namespace("pages")
    assert cache.get_many([str(n) for n in range(40)], namespace="pages") == {}
    assert not cache.exists("1", namespace="pages")
    assert not cache.touch("1", namespace="pages")
    assert cache.inspect("1", namespace="pages") is Miss.INVALIDATED
    assert cache.get("k", namespace="other") == 1
    cache.set("1", "new", namespace="pages")
    assert cache.get_many(["1", "2"], namespace="pages") == {"1": "new"}
    cache.invalidate_namespace("never-used")


def test_old_entries_stay_dead_after_many_invalidations(cache: Any) -> None:
    """A namespace's epoch is never one that it had before."""
    for n in range(20):
        cache.set(f"key {n}", n)
        cache.invalidate_namespace("default")
        cache.set("last", n)
        assert cache.get_many([f"key {m}" for m in range(n + 1)]) == {}
        assert cache.get("last") == n


def test_a_tenant_goes_whole_and_alone(cache: Any) -> None:
    for tenant in ("acme", "acme-2"):
        for namespace in ("pages", "other"):
            cache.set_many({"a": tenant, "b": tenant}, tenant=tenant, namespace=namespace, tags=["t"])
    cache.clear(tenant="acme")
    cache.clear(tenant="never-used")
    for namespace in ("pages", "other"):
        assert cache.get_many(["a", "b"], tenant="acme", namespace=namespace) == {}
        found = cache.get_many(["a", "b"], tenant="acme-2", namespace=namespace)
        assert found == {"a": "acme-2", "b": "acme-2"}


def test_tenants_and_namespaces_never_meet(cache: Any) -> None:
    places = [{"tenant": t, "namespace": n} for t in ("a", "a-b", "a-b-c") for n in ("x", "x.y", "x-y")]
    for number, place in enumerate(places):
        cache.set("k", number, tags=["t"], **place)
    assert [cache.get("k", **place) for place in places] == list(range(9))
    cache.invalidate(keys=["k"], **places[0])
    cache.invalidate(tags=["t"], **places[1])
    cache.invalidate_namespace(places[2]["namespace"], tenant=places[2]["tenant"])
    assert [cache.get("k", **place) for place in places] == [None, None, None, *range(3, 9)]


HOSTILE = ["a{b", "a}b", "a:b", "a*b", "a\nb", "", "x" * 10_000, "ä", "a b", "*", "a\x00"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("where", ["tenant", "namespace"])
def test_names_that_could_reach_others_are_refused(
    make: Make, count_keys: Callable[[], dict[str, int]], name: str, where: str
) -> None:
    cache = make()
    place = {where: name}
    calls: list[Callable[[], Any]] = [
        lambda: cache.get("k", **place),
        lambda: cache.get_many(["k"], **place),
        lambda: cache.set("k", 1, **place),
        lambda: cache.set_many({"k": 1}, **place),
        lambda: cache.exists("k", **place),
        lambda: cache.inspect("k", **place),
        lambda: cache.touch("k", **place),
        lambda: cache.delete("k", **place),
        lambda: cache.invalidate(keys=["k"], tags=["t"], **place),
        lambda: cache.invalidate_namespace(**{"namespace": "n", **place}),
        lambda: cache.get_or_load("k", lambda: 1, **place),
        lambda: cache.warm("k", lambda: 1, **place),
        lambda: cache.write_through("k", 1, lambda _: None, **place),
        lambda: cache.write_behind("k", 1, **place),
    ]
    for call in calls:
        with pytest.raises(InvalidInput, match="not valid"):
            call()
    assert count_keys() == {}
