"""Names are refused before a key is built; keys hold nothing of what users write but hashes."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riptide.cache.core import Core
from riptide.cache.space import Digests, tag_id
from riptide.config import CacheSettings
from riptide.errors import InvalidInput
from riptide.names import MAX_KEY_BYTES
from riptide.store.keys import Keys
from tests.support.anybody import Anybody, found, space_of

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
    core = Core(NoKeys(), CacheSettings(), Anybody(NoKeys()))
    for tenant, namespace in ((name, "pages"), ("acme", name)):
        if None in (tenant, namespace):
            continue  # left out: the default
        with pytest.raises(InvalidInput, match="not valid"):
            found(core, tenant, namespace)


texts = st.text(min_size=1).filter(lambda text: len(text.encode()) <= MAX_KEY_BYTES)


@given(texts, texts)
def test_keys_hold_hashes_alone(key: str, tag: str) -> None:
    space = space_of(Keys(), "acme", "pages")
    shard, digest = space.place(key)
    assert re.fullmatch(r"riptide:tenant:\{acme\}:pages:[0-9a-f]{32}", shard.entry(digest))
    assert re.fullmatch(r"riptide:lease:\{acme\}:pages:[0-9a-f]{32}", shard.lease(digest))
    assert re.fullmatch(r"riptide:tag:\{acme\}:pages:[0-9a-f]{16}", shard.index(tag_id(tag)))
    assert shard.epoch == "riptide:tenant:{acme}:pages:~epoch"


NO_KEYS = [None, 7, b"bytes", "\ud800", ["a"], "", "a" * (MAX_KEY_BYTES + 1), "ä" * (MAX_KEY_BYTES // 2 + 1)]


@pytest.mark.parametrize("key", NO_KEYS)
@pytest.mark.parametrize("shards", [1, 4])
def test_what_is_no_key_is_refused(key: str, shards: int) -> None:
    space = space_of(Keys(), "acme", "pages", shards)
    for _ in range(2):
        with pytest.raises(InvalidInput, match=r"key .* is not valid: a text of 1 to 2,048 bytes in UTF-8"):
            space.place(key)
        with pytest.raises(InvalidInput, match=r"key .* is not valid: a text of 1 to 2,048 bytes in UTF-8"):
            space.split(["good", key])
    with pytest.raises(InvalidInput, match=r"tag .* is not valid: a text of 1 to 2,048 bytes in UTF-8"):
        tag_id(key)


@pytest.mark.parametrize("key", ["a", "\x00", "a" * MAX_KEY_BYTES, "ä" * (MAX_KEY_BYTES // 2)])
def test_the_bounds_of_a_key_are_within(key: str) -> None:
    space = space_of(Keys(), "acme", "pages")
    assert [list(part.digests) for part in space.split([key])] == [[key]]
    assert len(tag_id(key)) == 8


@pytest.mark.parametrize("keys", ["abc", None, 7])
def test_what_is_no_list_of_keys_is_refused(keys: Any) -> None:
    with pytest.raises(InvalidInput, match="list of texts"):
        space_of(Keys(), "acme", "pages").split(keys)


def test_digests_are_the_same_however_many_are_kept() -> None:
    digests = Digests("1")
    first = digests["key 0"]
    most = max(len(digests) for n in range(20_000) if digests[f"key {n}"])
    assert most < 10_000
    assert digests["key 0"] == first == Digests("1")["key 0"]


def test_versions_and_tenants_never_meet() -> None:
    def entry(version: str, tenant: str, namespace: str, key: str) -> str:
        shard, digest = space_of(Keys(), tenant, namespace, version=version).place(key)
        return shard.entry(digest)

    found = {
        entry(version, tenant, namespace, key)
        for version in ("1", "11")
        for tenant in ("a", "a-b")
        for namespace in ("n", "n.m")
        for key in ("k", "1k", "kk")
    }
    assert len(found) == 2 * 2 * 2 * 3


def test_shards_spread_and_agree() -> None:
    space = space_of(Keys(), "acme", "pages", 4)
    keys = [f"key {n}" for n in range(200)]
    places = {key: space.place(key) for key in keys}
    assert {shard.prefix for shard, _ in places.values()} == {
        f"riptide:tenant:{{acme.{n}}}:pages:" for n in range(4)
    }
    split = {key: (part.shard, digest) for part in space.split(keys) for key, digest in part.digests.items()}
    assert split == places


def test_a_key_named_twice_is_there_once() -> None:
    space = space_of(Keys(), "acme", "pages")
    assert [list(part.digests) for part in space.split(["a", "b", "a"])] == [["a", "b"]]
    assert space.split([]) == []
