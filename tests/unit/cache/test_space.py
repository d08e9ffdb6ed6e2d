"""Names are refused before a key is built; keys hold nothing of what users write but hashes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riptide.cache.core import Core
from riptide.cache.space import Space, tag_id
from riptide.config import CacheSettings
from riptide.errors import InvalidInput
from riptide.store.keys import Keys

HOSTILE = [
    "a{b",
    "a}b",
    "a:b",
    "a*b",
    "a\nb",
    "a\n",
    "x" * 10_000,
    "",
    "ä",
    "acme\x00",
    "A",
    "-a",
    "~a",
    " a",
]


class NoKeys(Keys):
    """Fails if a key is built."""

    def __getattribute__(self, name: str) -> object:
        raise AssertionError(f"a key was built: {name}")


@pytest.mark.parametrize("name", [*HOSTILE, None, 7, b"acme", ["a"]])
def test_bad_names_are_refused_before_a_key_is_built(name: str) -> None:
    core = Core(NoKeys(), CacheSettings())
    for tenant, namespace in ((name, "pages"), ("acme", name)):
        if None in (tenant, namespace):
            continue  # left out: the default
        with pytest.raises(InvalidInput, match="not valid"):
            core.space(tenant, namespace)


@given(st.text(), st.text())
def test_keys_hold_hashes_alone(key: str, tag: str) -> None:
    space = Space(Keys(), "1", "acme", "pages", lambda _: 1)
    shard, digest = space.place(key)
    assert re.fullmatch(r"riptide:tenant:\{acme\}:pages:[0-9a-f]{32}", shard.entry(digest))
    assert re.fullmatch(r"riptide:lease:\{acme\}:pages:[0-9a-f]{32}", shard.lease(digest))
    assert re.fullmatch(r"riptide:tag:\{acme\}:pages:[0-9a-f]{16}", shard.index(tag_id(tag)))
    assert shard.epoch == "riptide:tenant:{acme}:pages:~epoch"


@pytest.mark.parametrize("key", [None, 7, b"bytes", "\ud800", ["a"]])
def test_keys_that_are_no_text_are_refused(key: str) -> None:
    space = Space(Keys(), "1", "acme", "pages", lambda _: 1)
    with pytest.raises(InvalidInput, match="text that UTF-8 can hold"):
        space.place(key)
    with pytest.raises(InvalidInput, match="text that UTF-8 can hold"):
        space.split(["good", key])
    with pytest.raises(InvalidInput, match="text that UTF-8 can hold"):
        tag_id(key)


def test_one_text_is_not_several_keys() -> None:
    with pytest.raises(InvalidInput, match="list of texts"):
        Space(Keys(), "1", "acme", "pages", lambda _: 1).split("abc")


def test_versions_and_tenants_never_meet() -> None:
    def entry(version: str, tenant: str, namespace: str, key: str) -> str:
        shard, digest = Space(Keys(), version, tenant, namespace, lambda _: 1).place(key)
        return shard.entry(digest)

    found = {
        entry(version, tenant, namespace, key)
        for version in ("1", "11")
        for tenant in ("a", "a-b")
        for namespace in ("n", "n.m")
        for key in ("k", "1k", "")
    }
    assert len(found) == 2 * 2 * 2 * 3


def test_shards_spread_and_agree() -> None:
    space = Space(Keys(), "1", "acme", "pages", lambda _: 4)
    keys = [f"key {n}" for n in range(200)]
    places = {key: space.place(key) for key in keys}
    assert {shard.prefix for shard, _ in places.values()} == {
        f"riptide:tenant:{{acme.{n}}}:pages:" for n in range(4)
    }
    split = {
        key: (part.shard, digest)
        for part in space.split(keys)
        for key, digest in zip(part.keys, part.digests, strict=True)
    }
    assert split == places


def test_a_key_named_twice_is_there_once() -> None:
    space = Space(Keys(), "1", "acme", "pages", lambda _: 1)
    assert [part.keys for part in space.split(["a", "b", "a"])] == [["a", "b"]]
    assert space.split([]) == []
