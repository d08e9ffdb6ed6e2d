"""Sending entries: a script sets each, which knows epoch, lease, clock, account and caps."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from riptide.cache.accounts.room import Over, Place, write_with_room
from riptide.cache.accounts.victims import Amount, Move
from riptide.cache.core import Core
from riptide.cache.encryption import lock
from riptide.cache.entry import with_epoch
from riptide.cache.space import Shard
from riptide.errors import QuotaExceeded, RiptideError, TenantNotActive, UnknownTenant
from riptide.metrics.instruments import ENTRY_BYTES
from riptide.store.operation import Flow, Operation, ask, ask_all
from riptide.store.script import Script
from riptide.tenants.accounts.account import BEHIND, Account, ask_settled, settle

_WRITE = Script.load("riptide.cache", "write.lua")

_BATCH_WRITES = 100
_BATCH_BYTES = 16 * 1024**2
_TRIES = 10


@dataclass(slots=True)
class Write:
    """One entry to be sent: as it is, or what encryption makes of it, which is done just before; packed again
    if the namespace has another epoch than was thought."""

    shard: Shard
    digest: str
    plain: bytes
    ttl_ms: int
    stale_ms: int
    tag_ids: tuple[bytes, ...]
    value_bytes: int
    negative: bool = False
    #: What is sent; empty while it is to be encrypted.
    packed: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """After a change: what was encrypted before is out of date."""
        self.packed = b"" if self.shard.space.facts.key else self.plain


def encrypt(core: Core, item: Write) -> Flow[None]:
    """Do what is to be done before it can be sent. Raises KeyUnavailable, ServerUnavailable, BlobError."""
    if not item.packed:
        item.packed = yield from lock(core, item.shard, item.digest, item.plain)


#: Errors that concern one tenant, or one entry of it: they keep nobody else's writes back.
TENANT_ERRORS = (QuotaExceeded, TenantNotActive, UnknownTenant)
_OUTDATED: Any = object()


def write(item: Write, token: bytes = b"") -> Operation[Any]:
    """Set one entry; under a lease if `token` is given.

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
        random.randbytes(4),
        shard.namespace,
        item.digest,
        shard.member(item.digest),
        token,
        shard.incarnation,
        *shard.space.caps,
        shard.space.facts.key,
        shard.space.facts.revision,
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


def complete(core: Core, item: Write, reply: Any) -> Flow[None]:
    """Do what is left to be done for one entry after `write` has been answered. Raises as `write_all`."""
    for _ in range(_TRIES):
        if reply == 1 or (yield from resolve(core, item, reply)):
            count_write(item)
            return
        yield from encrypt(core, item)
        reply = yield from ask(write(item))
    raise _always_in_the_way(1)


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
        for item in items:
            yield from encrypt(core, item)
        replies = yield from _send(items)
        again = []
        for item, reply in zip(items, replies, strict=True):
            try:
                written = reply == 1 or (yield from resolve(core, item, reply, alone=len(items) == 1))
            except TENANT_ERRORS as error:
                errors.append(error)
                continue
            if written:
                count_write(item)
            else:
                again.append(item)
        if not again:
            return
        items = again
    raise _always_in_the_way(len(items))


def _always_in_the_way(count: int) -> RiptideError:
    return RiptideError(
        f"{count} entries were not written: their namespace is invalidated, or the tenant's record is "
        "changed, all the time"
    )


def resolve(core: Core, item: Write, reply: Any, token: bytes = b"", *, alone: bool = True) -> Flow[bool]:
    """Do what a write that did not succeed needs: then it is written (True), or has to be sent again.

    `alone` tells that it was sent by itself. Raises QuotaExceeded, TenantNotActive, UnknownTenant.
    """
    if isinstance(reply, bytes):
        repack(item, reply)
    elif reply is BEHIND:
        yield from settle(item.shard.account)
    elif reply is _OUTDATED:
        space = yield from core.renew(item.shard.space)
        space.facts.require_active()
        item.shard = space.shard_of(item.digest)
        item.reset()
    elif isinstance(reply, Over):
        if not alone:  # the first one of its batch may have made room for all
            reply = yield from ask_settled(item.shard.account, write(item, token))
        if isinstance(reply, Over):
            place = yield from place_of(core, item.shard)
            size = len(item.packed)
            reply = yield from write_with_room(core.settings, place, reply, size, write(item, token))
        return bool(reply == 1)
    return False


def place_of(core: Core, shard: Shard) -> Flow[Place]:
    """Where a write goes that needs room."""
    space = shard.space
    facts = yield from core.tenants.learn(space.tenant)
    others = [other.account for other in space.shards if other is not shard]
    move: Move | None = None
    if core.spill is not None and (moving := core.spill.moving).wanted:

        def move(account: Account, members: Sequence[str], need: int) -> Flow[Amount]:
            return moving.instead_of_dropping(account, facts, members, need)

    return Place(space.tenant, shard.account, others, core.caps.of(facts), space.caps, move)


def repack(item: Write, epoch: bytes) -> None:
    item.shard.seen_epoch = epoch
    item.plain = with_epoch(item.plain, epoch)
    item.reset()


def _send(items: list[Write]) -> Flow[list[Any]]:
    if len(items) == 1:
        return [(yield from ask(write(items[0])))]
    return (yield from ask_all([write(item) for item in items]))


def count_write(item: Write) -> None:
    tally = item.shard.space.tally
    tally.sets += 1
    tally.value_bytes += item.value_bytes
    tally.stored_bytes += len(item.packed)
    ENTRY_BYTES.observe(len(item.packed))


def _batches(items: Sequence[Write]) -> Iterable[list[Write]]:
    batch: list[Write] = []
    size = 0
    for item in items:
        if batch and (len(batch) >= _BATCH_WRITES or size + len(item.plain) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item.plain)
    if batch:
        yield batch
