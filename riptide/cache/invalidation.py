"""Invalidation by key, tag, namespace and tenant.

When a flow ends, no leased or server read sees what was there before (docs/failure-behaviour.md).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from riptide.cache.buffer import WriteBuffer
from riptide.cache.core import LONGEST_LEASE_SECONDS, Core
from riptide.cache.space import Part, Shard, Space
from riptide.cache.writing import tag_ids_of
from riptide.store.operation import Flow, Operation, ask, ask_all, identity
from riptide.store.script import Script
from riptide.tenants.accounts.account import answer, ask_all_settled, ask_settled

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
    given, tag_ids = space.split(keys), tag_ids_of(tags)
    digests = {(shard.prefix, digest) for shard, named in given for digest in named.values()}
    buffer.discard(space, digests=digests, tag_ids=tag_ids)
    names = [key for part in given for key in part.digests]

    def flow(current: Space) -> Flow[int]:
        removed = yield from by_keys(current.split(names))
        return removed + (yield from by_tags(current, tag_ids))

    removed = yield from core.keep_up(space, flow)
    space.tally.deletes += removed
    return removed


def by_keys(parts: Iterable[Part]) -> Flow[int]:
    """Remove entries and void loads under way for them, entry or not. Answers how many entries there were."""
    pairs = [
        (shard.account, _drop(shard, step))
        for shard, digests in parts
        for step in _steps([*digests.values()])
    ]
    return sum((yield from ask_all_settled(pairs)))


def _drop(shard: Shard, digests: Sequence[str]) -> Operation[int]:
    names = [*map(shard.entry, digests), *map(shard.lease, digests)]
    members = map(shard.member, digests)
    return shard.account.call(_DROP, [shard.account.record, *names], [shard.incarnation, *members], int)


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
    names = [shard.generation, shard.stamp(tag), shard.index(tag), shard.doomed(tag), shard.account.record]
    return _DOOM.call(names, [_STAMP_MS, shard.incarnation], answer(int))


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
        digests: list[bytes] = yield from ask(_DOOMED.call([doomed], [_STEP], identity))
        if not digests:
            return removed
        names = [doomed, *(shard.entry(digest.decode()) for digest in digests)]
        drain = shard.account.call(_DRAIN, names, [tag, shard.namespace, *digests], int)
        removed += yield from ask_settled(shard.account, drain)


def namespace(core: Core, space: Space, buffer: WriteBuffer) -> Flow[None]:
    """Invalidate a whole namespace in O(1): no read accepts its entries any more. They count on, as garbage,
    until they are swept or expire."""
    buffer.discard(space, whole=True)

    def flow(current: Space) -> Flow[None]:
        yield from ask_all([_forget(shard, [space.name]) for shard in current.shards])

    yield from core.keep_up(space, flow)


def tenant(core: Core, space: Space, buffer: WriteBuffer) -> Flow[None]:
    """Invalidate all namespaces of the tenant that `space` belongs to."""
    buffer.discard_tenant(space)

    def flow(current: Space) -> Flow[None]:
        listed = yield from ask_all([_list(shard) for shard in current.shards])
        yield from ask_all(
            [
                _forget(shard, part)
                for shard, names in zip(current.shards, listed, strict=True)
                for part in _steps(names)
            ]
        )

    yield from core.keep_up(space, flow)


def _list(shard: Shard) -> Operation[list[str]]:
    return _NAMESPACES.call([shard.namespaces, shard.account.record], [shard.incarnation], answer(_texts))


def _forget(shard: Shard, namespaces: Sequence[str]) -> Operation[int]:
    account = shard.account
    names = [shard.namespaces, account.garbage, account.record, *map(account.epoch, namespaces)]
    return _FORGET.call(names, [shard.incarnation, *namespaces], answer(int))


def _texts(reply: Any) -> list[str]:
    return [name.decode() for name in reply[0]]


def _steps(items: Sequence[Any], size: int = _STEP) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
