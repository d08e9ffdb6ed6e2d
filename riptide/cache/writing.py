"""Writes: values are encoded and packed here, and sent by `sending`."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypedDict

from riptide.cache.core import Core, milliseconds
from riptide.cache.entry import (
    MOST_TAGS,
    NOTHING,
    TAG_BYTES,
    Metadata,
    encode,
    encode_metadata,
    pack,
)
from riptide.cache.sending import Write, write_all
from riptide.cache.space import Space, tag_id
from riptide.errors import EntryTooLarge, InvalidInput, RiptideError
from riptide.store.operation import Call, Flow, identity
from riptide.store.script import Script
from riptide.tenants.accounts.account import ask_settled

_TOUCH = Script.load("riptide.cache", "touch.lua")

_TRIES = 10
_UNKNOWN_EPOCH = bytes(8)

MISSING: Any = type("Missing", (), {"__repr__": lambda _: "MISSING", "__slots__": ()})()
"""Stands for 'the origin has no such value': a loader may return it, and it is remembered for a while."""


_NO_METADATA = Metadata()


class Options(NamedTuple):
    """How a value is kept. `ttl` and `stale` are seconds; None takes the configured ones."""

    ttl: float | None = None
    stale: float | None = None
    metadata: Metadata = _NO_METADATA


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
    if not (tags or version or content_type or source or attributes):
        return Options(ttl, stale)
    return Options(ttl, stale, Metadata(version, content_type, source, tuple(tags), attributes or {}))


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
    tag_ids: tuple[bytes, ...] = ()
    metadata = b""
    if options.metadata is not _NO_METADATA:
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


def set_many(core: Core, space: Space, values: Mapping[str, Any], options: Options) -> Flow[None]:
    """All are encoded before the first is sent, so that a value which cannot be cached stops all of them."""
    items = [prepare(core, space, key, value, options) for key, value in values.items()]
    yield from write_all(core, items)


def call(writer: Callable[[], Any]) -> Flow[None]:
    """The origin alone."""
    yield Call(writer)


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
