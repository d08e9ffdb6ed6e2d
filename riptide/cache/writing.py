"""Writes: an entry is packed here, and set by a script that knows the epoch, the lease and the clock."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from riptide.cache.accounts.room import CapArguments, Over, Place, write_with_room
from riptide.cache.core import Core, milliseconds
from riptide.cache.entry import (
    MOST_TAGS,
    NOTHING,
    TAG_BYTES,
    Metadata,
    encode,
    encode_metadata,
    pack,
    with_epoch,
)
from riptide.cache.space import Shard, Space, tag_id
from riptide.errors import (
    EntryTooLarge,
    InvalidInput,
    QuotaExceeded,
    RiptideError,
    TenantNotActive,
    UnknownTenant,
)
from riptide.store.operation import Call, Flow, Operation, ask, ask_all, identity
from riptide.store.script import Script
from riptide.tenants.accounts.account import BEHIND, ask_settled, settle

_WRITE = Script.load("riptide.cache", "write.lua")
_TOUCH = Script.load("riptide.cache", "touch.lua")

_BATCH_WRITES = 100
_BATCH_BYTES = 16 * 1024**2
_TRIES = 10
_UNKNOWN_EPOCH = bytes(8)

MISSING: Any = type("Missing", (), {"__repr__": lambda _: "MISSING", "__slots__": ()})()
"""Stands for 'the origin has no such value': a loader may return it, and it is remembered for a while."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a value is kept. `ttl` and `stale` are seconds; None takes the configured ones."""

    ttl: float | None = None
    stale: float | None = None
    metadata: Metadata = field(default_factory=Metadata)


class Keeping(TypedDict, total=False):
    """Keyword arguments of everything that writes: seconds of `ttl` and of `stale` after it, and metadata."""

    ttl: float | None
    stale: float | None
    tags: Iterable[str]
    version: str | None
    content_type: str | None
    source: str | None
    attributes: Mapping[str, Any] | None


def options(
    ttl: float | None = None,
    stale: float | None = None,
    tags: Iterable[str] = (),
    version: str | None = None,
    content_type: str | None = None,
    source: str | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Options:
    if isinstance(tags, str):
        raise InvalidInput("tags are a list of texts, not one text")
    return Options(ttl, stale, Metadata(version, content_type, source, tuple(tags), attributes or {}))


@dataclass(slots=True)
class Write:
    """One entry ready to be sent; packed again if the namespace has another epoch than was thought."""

    shard: Shard
    digest: str
    packed: bytes
    ttl_ms: int
    stale_ms: int
    tag_ids: tuple[bytes, ...]
    value_bytes: int
    negative: bool = False


def prepare(core: Core, space: Space, key: str, value: Any, options: Options) -> Write:
    """Encode and pack. Raises InvalidInput for what cannot be cached, EntryTooLarge above the limit."""
    shard, digest = space.place(key)
    settings = core.settings
    negative = value is MISSING
    if negative:
        ttl_ms, stale_ms = milliseconds(settings.negative_ttl_seconds, "negative_ttl_seconds"), 0
    else:
        ttl_ms = milliseconds(settings.default_ttl_seconds if options.ttl is None else options.ttl, "ttl")
        stale = settings.stale_seconds if options.stale is None else options.stale
        stale_ms = milliseconds(stale, "stale", least=0)
    tag_ids = tag_ids_of(options.metadata.tags)
    if len(tag_ids) > MOST_TAGS:
        raise InvalidInput(f"an entry bears at most {MOST_TAGS} tags, not {len(tag_ids)}")
    metadata = encode_metadata(options.metadata)
    body = NOTHING if negative else encode(value, core.codec)
    _check_size(core, key, body.size + len(metadata))
    packed = pack(
        body,
        epoch=shard.seen_epoch or _UNKNOWN_EPOCH,
        created_ms=core.clock.now_ms(),
        stale_ms=stale_ms,
        tag_ids=b"".join(tag_ids),
        metadata=metadata,
    )
    return Write(shard, digest, packed, ttl_ms, stale_ms, tag_ids, body.size, negative)


def tag_ids_of(tags: Iterable[str]) -> tuple[bytes, ...]:
    """Ids of the distinct tags."""
    if isinstance(tags, str):
        raise InvalidInput("tags are a list of texts, not one text")
    return tuple(dict.fromkeys(tag_id(tag) for tag in tags))


def _check_size(core: Core, key: str, size: int) -> None:
    limit = core.settings.max_entry_size_bytes
    if size > limit:
        raise EntryTooLarge(
            f"the value of {key!r:.80} has {size} bytes with its metadata, more than "
            f"cache.max_entry_size_bytes = {limit}; nothing was written"
        )


#: Errors that concern one tenant, or one entry of it: they keep nobody else's writes back.
TENANT_ERRORS = (QuotaExceeded, TenantNotActive, UnknownTenant)
_OUTDATED: Any = object()


def write(item: Write, token: bytes = b"", caps: CapArguments | None = None) -> Operation[Any]:
    """Set one entry; under a lease if `token` is given; with other `caps` than the tenant's.

    Answers 1, 0 or an epoch as the script does, an Over, BEHIND, or _OUTDATED.
    """
    shard = item.shard
    names = [
        *shard.account.names,
        shard.account.record,
        shard.entry(item.digest),
        shard.epoch,
        shard.lease(item.digest),
        shard.namespaces,
        *[shard.index(tag) for tag in item.tag_ids],
    ]
    if token:
        names += [shard.stamp(tag) for tag in item.tag_ids]
    arguments = (
        item.packed,
        item.ttl_ms,
        item.stale_ms,
        os.urandom(4),
        shard.namespace,
        item.digest,
        shard.member(item.digest),
        token,
        shard.incarnation,
        *(caps or shard.space.caps),
    )
    return _WRITE.call(names, arguments, _written)


def _written(reply: Any) -> Any:
    if type(reply) is not list:
        return reply
    match reply[0]:
        case b"behind":
            return BEHIND
        case b"facts":
            return _OUTDATED
    return Over(*reply[1:])


def write_all(core: Core, items: Sequence[Write]) -> Flow[None]:
    """Set entries, in as few round trips as their sizes allow.

    What keeps one entry from being written (QuotaExceeded, TenantNotActive, UnknownTenant) is raised when all
    others are.
    """
    errors: list[RiptideError] = []
    for batch in _batches(items):
        yield from _write_batch(core, batch, errors)
    if errors:
        raise errors[0]


def _write_batch(core: Core, items: list[Write], errors: list[RiptideError]) -> Flow[None]:
    for _ in range(_TRIES):
        replies = yield from _send(items)
        again = []
        for item, reply in zip(items, replies, strict=True):
            try:
                written = reply == 1 or (yield from resolve(core, item, reply))
            except TENANT_ERRORS as error:
                errors.append(error)
                continue
            if written:
                count_write(core, item)
            else:
                again.append(item)
        if not again:
            return
        items = again
    raise RiptideError(f"{len(items)} entries were not written: their namespace is invalidated all the time")


def resolve(core: Core, item: Write, reply: Any, token: bytes = b"") -> Flow[bool]:
    """Do what a write that did not succeed needs: then it is written (True), or has to be sent again.

    Raises QuotaExceeded, TenantNotActive, UnknownTenant.
    """
    if isinstance(reply, bytes):
        repack(item, reply)
    elif reply is BEHIND:
        yield from settle(item.shard.account)
    elif reply is _OUTDATED:
        space = yield from core.renew(item.shard.space)
        space.facts.require_active()
        item.shard = space.shard_of(item.digest)
    elif isinstance(reply, Over):
        return (yield from _write_with_room(core, item, reply, token))
    return False


def _write_with_room(core: Core, item: Write, over: Over, token: bytes) -> Flow[bool]:
    """True if it is written; False if something else than room is in the way now."""
    shard = item.shard
    others = [other.account for other in shard.space.shards if other is not shard]
    place = Place(shard.space.tenant, shard.account, others)
    size = len(item.packed)
    reply = yield from write_with_room(
        core.settings, place, over, size, lambda caps: write(item, token, caps)
    )
    return bool(reply == 1)


def repack(item: Write, epoch: bytes) -> None:
    item.shard.seen_epoch = epoch
    item.packed = with_epoch(item.packed, epoch)


def _send(items: list[Write]) -> Flow[list[Any]]:
    if len(items) == 1:
        return [(yield from ask(write(items[0])))]
    return (yield from ask_all([write(item) for item in items]))


def count_write(core: Core, item: Write) -> None:
    core.stats.sets += 1
    core.stats.value_bytes += item.value_bytes
    core.stats.stored_bytes += len(item.packed)


def _batches(items: Sequence[Write]) -> Iterable[list[Write]]:
    batch: list[Write] = []
    size = 0
    for item in items:
        if batch and (len(batch) >= _BATCH_WRITES or size + len(item.packed) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item.packed)
    if batch:
        yield batch


def set_value(core: Core, space: Space, key: str, value: Any, options: Options) -> Flow[None]:
    yield from write_all(core, [prepare(core, space, key, value, options)])


def set_many(core: Core, space: Space, values: Mapping[str, Any], options: Options) -> Flow[None]:
    """All are encoded before the first is sent, so that a value which cannot be cached stops all of them."""
    items = [prepare(core, space, key, value, options) for key, value in values.items()]
    yield from write_all(core, items)


def write_through(core: Core, item: Write, writer: Callable[[], Any]) -> Flow[None]:
    """Origin first: if it refuses, the cache keeps what it has."""
    yield Call(writer)
    yield from write_all(core, [item])


def touch(core: Core, space: Space, key: str, ttl: float | None) -> Flow[bool]:
    """Give a fresh entry a new time to live from now; False if there is none."""
    shard, digest = space.place(key)
    ttl_ms = milliseconds(core.settings.default_ttl_seconds if ttl is None else ttl, "ttl")
    tags = b""
    for _ in range(_TRIES):
        ids = [tags[at : at + TAG_BYTES] for at in range(0, len(tags), TAG_BYTES)]
        names = [shard.entry(digest), shard.epoch, shard.namespaces, *(shard.index(name) for name in ids)]
        operation = shard.account.call(_TOUCH, names, [ttl_ms, shard.namespace, digest, tags], identity)
        reply = yield from ask_settled(shard.account, operation)
        if not isinstance(reply, bytes):
            return bool(reply)
        tags = reply
    raise RiptideError(f"{key!r:.80} was not touched: its tags change again and again")
