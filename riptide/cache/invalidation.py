"""Invalidation by key, tag, namespace and tenant.

When a flow ends, no leased or server read sees what was there before (DESIGN §5).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from riptide.cache.buffer import WriteBuffer
from riptide.cache.core import LONGEST_LEASE_SECONDS, Core
from riptide.cache.space import Part, Shard, Space
from riptide.cache.writing import tag_ids_of
from riptide.store.operation import Flow, Operation, ask, ask_all, identity
from riptide.store.script import Script

_DROP = Script.load("riptide.cache", "drop.lua")
_FORGET = Script.load("riptide.cache", "forget.lua")
_NAMESPACES = Script.load("riptide.cache", "namespaces.lua")
_DOOM = Script.load("riptide.cache", "doom.lua")
_DOOMED = Script.load("riptide.cache", "doomed.lua")
_DRAIN = Script.load("riptide.cache", "drain.lua")

# One step holds the server for about a millisecond; variadic calls stay under 1,000 arguments.
_STEP = 400
_STAMP_MS = (LONGEST_LEASE_SECONDS + 60) * 1000
_NOTHING, _AGAIN = 0, 2


def by_keys_and_tags(
    core: Core, space: Space, buffer: WriteBuffer, keys: Iterable[str], tags: Iterable[str]
) -> Flow[int]:
    """Both, and what waits in this process to be written."""
    parts = space.split(keys)
    tag_ids = tag_ids_of(tags)
    digests = {(shard.prefix, digest) for shard, named in parts for digest in named.values()}
    buffer.discard(space, digests=digests, tag_ids=tag_ids)
    removed = yield from by_keys(parts)
    removed += yield from by_tags(space, tag_ids)
    core.stats.deletes += removed
    return removed


def by_keys(parts: Iterable[Part]) -> Flow[int]:
    """Remove entries and void loads under way for them, entry or not. Answers how many entries there were."""
    operations = [_drop(shard, step) for shard, digests in parts for step in _steps([*digests.values()])]
    return sum((yield from ask_all(operations)))


def _drop(shard: Shard, digests: Sequence[str]) -> Operation[int]:
    names = [*(shard.entry(digest) for digest in digests), *(shard.lease(digest) for digest in digests)]
    return _DROP.call(names, [], int)


def by_tags(space: Space, tag_ids: Sequence[bytes]) -> Flow[int]:
    """Remove the entries that bear any of the tags, in steps. Answers how many were removed."""
    removed = 0
    pairs = [(shard, tag) for tag in tag_ids for shard in space.shards]
    for part in _steps(pairs):
        states = yield from ask_all([_doom(shard, tag) for shard, tag in part])
        for (shard, tag), state in zip(part, states, strict=True):
            removed += yield from _drain(shard, tag, state)
    return removed


def _doom(shard: Shard, tag: bytes) -> Operation[int]:
    names = [shard.generation, shard.stamp(tag), shard.index(tag), shard.doomed(tag)]
    return _DOOM.call(names, [_STAMP_MS], int)


def _drain(shard: Shard, tag: bytes, state: int) -> Flow[int]:
    removed = 0
    while state != _NOTHING:
        removed += yield from _drain_doomed(shard, tag)
        if state != _AGAIN:
            break
        # What was drained belonged to an earlier invalidation: our own begins now.
        state = yield from ask(_doom(shard, tag))
    return removed


def _drain_doomed(shard: Shard, tag: bytes) -> Flow[int]:
    removed = 0
    doomed = shard.doomed(tag)
    while True:
        members: list[bytes] = yield from ask(_DOOMED.call([doomed], [_STEP], identity))
        if not members:
            return removed
        names = [doomed, *(shard.entry(member.decode()) for member in members)]
        removed += yield from ask(_DRAIN.call(names, [tag, *members], int))


def namespace(space: Space, buffer: WriteBuffer) -> Flow[None]:
    """Invalidate a whole namespace in O(1): its entries stay until they expire, and no read accepts them."""
    buffer.discard(space, whole=True)
    yield from ask_all([_forget(shard, [space.name]) for shard in space.shards])


def tenant(space: Space, buffer: WriteBuffer) -> Flow[None]:
    """Invalidate all namespaces of the tenant that `space` belongs to."""
    buffer.discard_tenant(space)
    listed = yield from ask_all([_NAMESPACES.call([shard.namespaces], [], _texts) for shard in space.shards])
    yield from ask_all(
        [
            _forget(shard, part)
            for shard, names in zip(space.shards, listed, strict=True)
            for part in _steps(names)
        ]
    )


def _forget(shard: Shard, namespaces: Sequence[str]) -> Operation[int]:
    return _FORGET.call([shard.namespaces, *(shard.epoch_of(name) for name in namespaces)], namespaces, int)


def _texts(reply: Any) -> list[str]:
    return [name.decode() for name in reply]


def _steps(items: Sequence[Any], size: int = _STEP) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
