"""Reads: one MGET of entries and their epoch, and what is left to do when that does not settle it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from riptide.cache.codec import Damaged
from riptide.cache.core import Core
from riptide.cache.encryption import unlock, unlock_at_once
from riptide.cache.entry import (
    HEADER_BYTES,
    LOCKED,
    Aging,
    Entry,
    Miss,
    key_id_of,
    open_entry,
    open_plain,
    open_value,
)
from riptide.cache.restoring import bring_back, discard
from riptide.cache.space import Part, Shard, Space
from riptide.cache.spill.returning import Spilled
from riptide.cache.spill.stub import is_stub
from riptide.store.operation import Flow, Operation, ask, ask_all, identity
from riptide.store.script import Script

_EXISTS = Script.load("riptide.cache", "exists.lua")
_NOW = Script.load("riptide.cache", "now.lua")

_MGET_KEYS = 500

Pair = list[bytes | None]
UNSETTLED: Any = object()


def read(shard: Shard, digest: str) -> Operation[Pair]:
    """The entry and the epoch it must have."""
    return Operation(("MGET", shard.prefix + digest, shard.epoch), identity)


def quick(core: Core, shard: Shard, digest: str, pair: Pair) -> Any:
    """The value if it is a hit that needs no second thought, counted; else UNSETTLED."""
    data, epoch = pair
    if data is None or epoch is None:
        return UNSETTLED
    try:
        value = open_value(data, epoch, core.codec)
        if value is LOCKED:
            if (rest := unlock_at_once(core, shard, digest, data)) is None:
                return UNSETTLED
            value = open_value(data, epoch, core.codec, rest)
    except Damaged:
        return UNSETTLED
    kind = type(value)
    if kind is Miss or kind is Aging:
        return UNSETTLED
    shard.space.tally.hits += 1
    return value


def settle(core: Core, shard: Shard, digest: str, pair: Pair, default: Any) -> Flow[Any]:
    """The value of what `read` brought, or `default`; a damaged entry is removed. Counts the read."""
    value = yield from value_of(core, shard, digest, pair)
    if isinstance(value, Miss):
        shard.space.tally.misses += 1
        return default
    shard.space.tally.hits += 1
    return value


def value_of(core: Core, shard: Shard, digest: str, pair: Pair) -> Flow[Any]:
    """The fresh value, or the Miss that says why there is none."""
    data, epoch = pair
    if epoch is None:
        yield from core.look_again(shard.space)
    if data is None:
        return Miss.ABSENT
    if epoch is None:
        return Miss.INVALIDATED
    value = yield from opened(core, shard, digest, data, epoch)
    if type(value) is not Aging:
        return value
    now = yield from server_now(core, shard)
    return value.value if now < value.soft_expiry_ms else Miss.EXPIRED


def opened(core: Core, shard: Shard, digest: str, data: bytes, epoch: bytes) -> Flow[Any]:
    """As `open_value`, decrypted, and brought back from the blob store; what is damaged, or encrypted for
    another place, is removed and counted.

    Raises KeyUnavailable.
    """
    value = yield from _opened_here(core, shard, digest, data, epoch)
    if value is Miss.SPILLED:
        (found,) = yield from bring_back(core, [Spilled(shard, digest, data)])
        if isinstance(found, Miss):
            return found
        value = yield from _opened_here(core, shard, digest, found, epoch)
    return value


def _opened_here(core: Core, shard: Shard, digest: str, data: bytes, epoch: bytes) -> Flow[Any]:
    try:
        value = open_value(data, epoch, core.codec)
        if value is LOCKED:
            if (rest := (yield from unlock(core, shard, digest, data))) is None:
                shard.space.tally.foreign += 1
                yield from discard(shard, digest, data)
                return Miss.FOREIGN
            value = open_value(data, epoch, core.codec, rest)
    except Damaged:
        shard.space.tally.damaged += 1
        yield from discard(shard, digest, data)
        return Miss.DAMAGED
    return value


def server_now(core: Core, shard: Shard) -> Flow[int]:
    """The server's time in ms; asked at most once a minute."""
    now = core.time.now_ms()
    if now is None:
        now = yield from ask(_NOW.call([shard.epoch], [], int))
        core.time.learn(now)
    return now


def get_many(core: Core, space: Space, keys: Iterable[str]) -> Flow[dict[str, Any]]:
    """The fresh values by key; keys without one are left out. One round trip, one MGET for each slot where
    slots matter."""
    parts = [part for whole in space.split(keys) for part in _cut(whole)]
    if not parts:
        return {}
    _count_keys(space, parts)
    tally = space.tally
    began = tally.begin()
    groups = [[part] for part in parts] if core.clustered else [parts]
    if len(groups) == 1:
        replies = [(yield from ask(_read_parts(parts)))]
    else:
        replies = yield from ask_all([_read_parts(group) for group in groups])
    found: dict[str, Any] = {}
    asked, gone = 0, False
    for group, reply in zip(groups, replies, strict=True):
        asked += len(reply) - len(group)
        entries = iter(reply)
        for part, epoch in zip(group, reply[-len(group) :], strict=True):
            open_plain(part.digests, entries, epoch, found)
            gone = gone or epoch is None
    if gone:
        yield from core.look_again(space)
    if len(found) < asked:
        for group, reply in zip(groups, replies, strict=True):
            yield from _look_closer(core, group, reply, found)
    tally.hits += len(found)
    tally.misses += asked - len(found)
    if began:
        tally.end(began)
    return found


def _count_keys(space: Space, parts: Iterable[Part]) -> None:
    if (demand := space.demand) is not None:
        for _, digests in parts:
            demand.reads.count(digests.keys())


def _cut(part: Part) -> list[Part]:
    shard, digests = part
    if len(digests) <= _MGET_KEYS:
        return [part]
    items = list(digests.items())
    starts = range(0, len(items), _MGET_KEYS)
    return [Part(shard, dict(items[start : start + _MGET_KEYS])) for start in starts]


def _read_parts(parts: list[Part]) -> Operation[Pair]:
    """All entries, part by part, then the epoch of each part."""
    names: list[str] = []
    for shard, digests in parts:
        prefix = shard.prefix
        names += [prefix + digest for digest in digests.values()]
    names += [part.shard.epoch for part in parts]
    return Operation(("MGET", *names), identity)


def _look_closer(core: Core, parts: list[Part], reply: Pair, found: dict[str, Any]) -> Flow[None]:
    """What is there and was no plain hit: compressed, aging, spilled, invalidated or damaged."""
    entries = iter(reply)
    spilled: dict[str, tuple[Spilled, bytes]] = {}
    for part, epoch in zip(parts, reply[-len(parts) :], strict=True):
        for (key, digest), data in zip(part.digests.items(), entries, strict=False):
            if data is None or key in found:
                continue
            if epoch is not None and _is_spilled(data, epoch, core):
                spilled[key] = Spilled(part.shard, digest, data), epoch
                continue
            value = yield from value_of(core, part.shard, digest, [data, epoch])
            if not isinstance(value, Miss):
                found[key] = value
    if spilled:
        whole = yield from bring_back(core, [one for one, _ in spilled.values()])
        for (key, (one, written)), back in zip(spilled.items(), whole, strict=True):
            if not isinstance(back, Miss):
                value = yield from value_of(core, one.shard, one.digest, [back, written])
                if not isinstance(value, Miss):
                    found[key] = value


def _is_spilled(data: bytes, epoch: bytes, core: Core) -> bool:
    if len(data) < HEADER_BYTES or not is_stub(data):
        return False
    try:
        return open_value(data, epoch, core.codec) is Miss.SPILLED
    except Damaged:
        return False


def exists(space: Space, key: str) -> Flow[bool]:
    """Whether a fresh value is there; moves no value and checks no checksum."""
    return (yield from ask(_exists(space, key)))


def which_exist(places: Iterable[tuple[Space, str]]) -> Flow[list[bool]]:
    """The same of each of several keys, which are asked for together."""
    return (yield from ask_all([_exists(space, key) for space, key in places]))


def _exists(space: Space, key: str) -> Operation[bool]:
    shard, digest = space.place(key)
    return _EXISTS.call([shard.entry(digest), shard.epoch], [], bool)


def get_entry(core: Core, space: Space, key: str) -> Flow[Entry | Miss]:
    """The entry with its metadata, negative or fresh; otherwise why there is none."""
    return (yield from entry_at(core, *space.place(key)))


def entry_at(core: Core, shard: Shard, digest: str) -> Flow[Entry | Miss]:
    """The same of an entry whose key may be unknown."""
    left = Operation(("PTTL", shard.entry(digest)), identity)
    replies = yield from ask_all([read(shard, digest), left])
    pair, expires_in_ms = replies
    data, epoch = pair
    if data is not None and epoch is not None and _is_spilled(data, epoch, core):
        (found,) = yield from bring_back(core, [Spilled(shard, digest, data)])
        if isinstance(found, Miss):
            return found
        pair = [found, epoch]
    value = yield from value_of(core, shard, digest, pair)
    if isinstance(value, Miss) and value is not Miss.NEGATIVE:
        return value
    data, epoch = pair
    rest = None
    if key_id_of(data) and (rest := (yield from unlock(core, shard, digest, data))) is None:
        return Miss.FOREIGN  # the tenant was purged just now
    try:
        entry = open_entry(data, epoch, core.codec, rest)
    except Damaged:
        shard.space.tally.damaged += 1
        yield from discard(shard, digest, data)
        return Miss.DAMAGED
    if isinstance(entry, Miss):
        return entry
    return replace(entry, expires_in_ms=max(0, expires_in_ms))
