"""The write-behind buffer: bounded, the last write of a key wins, invalidations reach it."""

import os
from typing import Any

import pytest

from riptide.cache import buffer as module
from riptide.cache.buffer import WriteBuffer
from riptide.cache.core import Core
from riptide.cache.sending import Write
from riptide.cache.space import Space, tag_id
from riptide.cache.writing import options, prepare
from riptide.config import CacheSettings, load
from riptide.config.live import Live
from riptide.store.keys import Keys
from tests.support.anybody import Anybody, found

CORE = Core(Keys(), CacheSettings(), Anybody(Keys()))
PAGES = found(CORE, "acme", "pages")


def write(key: str, value: Any = 1, *tags: str, space: Space = PAGES) -> Write:
    return prepare(CORE, space, key, value, options(tags=tags))


def test_takes_what_fits() -> None:
    buffer = WriteBuffer(CacheSettings(write_behind_max_entries=2))
    assert buffer.add(write("a"))
    assert buffer.add(write("b"))
    assert not buffer.add(write("c"))
    taken = buffer.take()
    assert (len(taken), len(buffer)) == (2, 2), "they are on their way"
    assert buffer.add(write("c"))
    buffer.put_back(taken)
    buffer.sent()
    assert len(buffer) == 3
    buffer.take()
    buffer.sent()
    assert (len(buffer), buffer.busy) == (0, False)


def test_its_size_is_that_of_now() -> None:
    process = Live(load(environ={}))
    buffer = WriteBuffer(process.settings.cache)
    assert all(buffer.add(write(key)) for key in "abc")
    smaller = CacheSettings(write_behind_max_entries=2)
    process.switch(process.settings.model_copy(update={"cache": smaller}), "2-a", lambda _: None)
    assert not buffer.add(write("d"))
    assert len(buffer.take()) == 3, "what was taken in is sent"
    assert buffer.add(write("d"))


def test_the_last_write_of_a_key_wins_even_when_full() -> None:
    buffer = WriteBuffer(CacheSettings(write_behind_max_entries=1))
    first, second = write("a", 1), write("a", 2)
    assert buffer.add(first)
    assert buffer.add(second)
    assert buffer.take() == [second]


def test_bounded_by_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 3000)
    buffer = WriteBuffer(CacheSettings(write_behind_max_entries=100))
    assert buffer.add(write("a", os.urandom(2000)))
    assert not buffer.add(write("b", os.urandom(2000)))
    assert buffer.add(write("a", b"small"))
    assert buffer.add(write("b", os.urandom(2000)))
    assert len(buffer.take()) == 2
    assert buffer.add(write("huge", bytes(range(256)) * 40)), (
        "one that is larger than all is still taken alone"
    )


def test_put_back_yields_to_later_writes() -> None:
    buffer = WriteBuffer(CacheSettings(write_behind_max_entries=10))
    old, other, new = write("a", 1), write("b"), write("a", 2)
    buffer.add(old)
    buffer.add(other)
    taken = buffer.take()
    buffer.add(new)
    buffer.put_back(taken)
    assert {item.digest: item for item in buffer.take()} == {new.digest: new, other.digest: other}


def test_invalidations_reach_it() -> None:
    buffer = WriteBuffer(CacheSettings(write_behind_max_entries=10))
    elsewhere = found(CORE, "acme", "other")
    foreign = found(CORE, "globex", "pages")
    a, b, c = write("a"), write("b", 1, "red"), write("c", 1, "blue")
    d, e = write("b", 1, "red", space=elsewhere), write("b", 1, "red", space=foreign)
    for item in (a, b, c, d, e):
        buffer.add(item)
    buffer.discard(PAGES, tag_ids=[tag_id("red")])
    assert buffer.take() == [a, c, d, e]
    for item in (a, b, c, d, e):
        buffer.add(item)
    buffer.discard(PAGES, digests={(a.shard.prefix, a.digest)})
    buffer.discard(elsewhere, whole=True)
    assert buffer.take() == [b, c, e]
    for item in (a, b, c, d, e):
        buffer.add(item)
    buffer.discard_tenant(PAGES)
    assert buffer.take() == [e]
