"""Room for a write that would exceed a cap: what gives way, and which shards lend (docs/cache.md)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from riptide.cache.accounts.caps import CapArguments
from riptide.cache.accounts.lending import Part, borrow
from riptide.cache.accounts.victims import NOTHING, Amount, Move, free
from riptide.config import CacheSettings
from riptide.errors import QuotaExceeded
from riptide.store.operation import Flow, Operation, ask_all
from riptide.tenants.accounts.account import ENTRY_OVERHEAD_BYTES, Account, ask_settled
from riptide.tenants.resources import UNLIMITED

# A hundredth of a cap is freed beyond the need: not every write into a full cache has to make its own room.
_SPARE = 100
_TRIES = 3


class Over(NamedTuple):
    """Why a write was not made: what there would be in its slot, the slot's equal part of the caps, -1:
    unlimited, and by how much others have enlarged that."""

    bytes: int
    most_bytes: int
    more_bytes: int
    entries: int
    most_entries: int
    more_entries: int

    def missing(self, freed: Amount) -> Amount:
        """By how much the slot's part is too small, once so much is freed there."""
        pairs = (
            (self.most_entries, self.entries - freed.entries - self.more_entries),
            (self.most_bytes, self.bytes - freed.bytes - self.more_bytes),
        )
        return Amount(*(0 if most == UNLIMITED else max(0, would - most) for most, would in pairs))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a write goes: the account of its slot, those of the tenant's other shards, and the caps of all.

    `arguments` is how a script is told of the caps of one shard. With `move`, what gives way is kept
    elsewhere.
    """

    tenant: str
    account: Account
    others: Sequence[Account]
    most: Amount
    arguments: CapArguments
    move: Move | None = None


def write_with_room(
    settings: CacheSettings, place: Place, over: Over, size: int, write: Operation[Any]
) -> Flow[Any]:
    """What `write` answers once there is room for its entry of `size` bytes.

    Each shard has an equal part of the caps; where that is used up, others lend what they do not use. What
    has to give way is taken from the shards that hold most. Raises QuotaExceeded.
    """
    for _ in range(_TRIES):
        balances = yield from ask_all([account.settle() for account in place.others])
        parts = [Part.of(account, b) for account, b in zip(place.others, balances, strict=True)]
        would = sum((part.held for part in parts), Amount(over.entries, over.bytes))
        freed = yield from _make_room(settings, place, parts, would, size)
        missing = over.missing(freed)
        if not missing.none:
            spare = Amount(*(max(0, most) // _SPARE for most in place.most))
            yield from borrow(place.account, parts, missing, spare, place.arguments)
        reply = yield from ask_settled(place.account, write)
        if not isinstance(reply, Over):
            return reply
        over = reply
    raise _refused(place, would)


def _make_room(
    settings: CacheSettings, place: Place, parts: list[Part], would: Amount, size: int
) -> Flow[Amount]:
    """Evict what is too much in all; answers what that freed in the slot of the write."""
    most = place.most
    need = Amount(_need(most.entries, would.entries), _need(most.bytes, would.bytes))
    freed_here = NOTHING
    if need.none:
        return freed_here
    too_large = most.entries == 0 or 0 <= most.bytes < size + ENTRY_OVERHEAD_BYTES
    if settings.eviction_policy == "reject" or too_large:
        raise _refused(place, would)
    here = would - sum((part.held for part in parts), NOTHING)
    shards: list[tuple[int, Part | None]] = [(here.bytes, None), *((part.held.bytes, part) for part in parts)]
    for _, part in sorted(shards, key=lambda shard: shard[0], reverse=True):
        account = part.account if part else place.account
        freed = yield from free(account, need, settings.eviction_policy, "policy", place.move)
        need -= freed
        if part is None:
            freed_here = freed
        else:
            part.held -= freed
        if need.none:
            break
    return freed_here


def _need(most: int, would: int) -> int:
    """How much has to go; 0: nothing."""
    return 0 if most == UNLIMITED or would <= most else would - most + most // _SPARE


def _refused(place: Place, would: Amount) -> QuotaExceeded:
    most = place.most
    rows = [("memory_bytes", most.bytes, would.bytes), ("cache_entries", most.entries, would.entries)]
    violated = [row for row in rows if row[1] != UNLIMITED and row[2] > row[1]] or rows[:1]
    resource, limit, needed = violated[0]
    return QuotaExceeded(
        f"tenant {place.tenant!r} would need {needed:,} of {resource} and may have {limit:,}; nothing was "
        "written: delete entries, raise the limit, or see what cache.eviction_policy lets give way",
        tenant=place.tenant,
        resource=resource,
        limit=limit,
        remaining=0,
        violated=tuple(row[0] for row in violated),
    )
