"""Room for a write that would exceed a cap: what gives way, and which shards lend (DESIGN §5, "Accounts")."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from riptide.cache.accounts.victims import Amount, free
from riptide.config import CacheSettings
from riptide.errors import QuotaExceeded
from riptide.store.operation import Flow, Operation, ask_all
from riptide.tenants.accounts.account import ENTRY_OVERHEAD_BYTES, Account, Balance, ask_settled
from riptide.tenants.resources import UNLIMITED

# A hundredth of a cap is freed beyond the need: not every write into a full cache has to make its own room.
_SPARE = 100
_TRIES = 3

CapArguments = tuple[int, int, str]


class Over(NamedTuple):
    """Why a write was not made: what there would be in its slot, and the most there may be, -1: unlimited."""

    bytes: int
    most_bytes: int
    entries: int
    most_entries: int

    @property
    def would(self) -> Amount:
        return Amount(self.entries, self.bytes)


class Place(NamedTuple):
    """Where a write goes: the account of its slot, and those of the tenant's other shards."""

    tenant: str
    account: Account
    others: Sequence[Account]

    def whole(self, over: Over) -> Amount:
        """The tenant's caps."""
        shards = 1 + len(self.others)
        parts = over.most_entries, over.most_bytes
        return Amount(*(part if part == UNLIMITED else part * shards for part in parts))


def write_with_room(
    settings: CacheSettings,
    place: Place,
    over: Over,
    size: int,
    write: Callable[[CapArguments], Operation[Any]],
) -> Flow[Any]:
    """What `write` answers once there is room for its entry of `size` bytes.

    Each shard has its part of the caps; where that is used up, it is lent what others do not use. What has to
    give way is taken from the shards that hold most. Raises QuotaExceeded.
    """
    most = place.whole(over)
    for _ in range(_TRIES):
        elsewhere = yield from _make_room(settings, place, over, most, size)
        lent = (_lent(most.bytes, elsewhere.bytes), _lent(most.entries, elsewhere.entries), "0")
        reply = yield from ask_settled(place.account, write(lent))
        if not isinstance(reply, Over):
            return reply
        over = reply
    raise _refused(place, most, over.would)


def _make_room(settings: CacheSettings, place: Place, over: Over, most: Amount, size: int) -> Flow[Amount]:
    """Answers what the other shards hold then."""
    held: list[Balance] = yield from ask_all([account.settle() for account in place.others])
    elsewhere = Amount(sum(b.entries for b in held), sum(b.bytes for b in held))
    would = over.would + elsewhere
    need = Amount(_need(most.entries, would.entries), _need(most.bytes, would.bytes))
    if need == (0, 0):
        return elsewhere
    too_large = most.entries == 0 or 0 <= most.bytes < size + ENTRY_OVERHEAD_BYTES
    if settings.eviction_policy == "reject" or too_large:
        raise _refused(place, most, would)
    shards = [(over.bytes, place.account), *zip([b.bytes for b in held], place.others, strict=True)]
    for _, account in sorted(shards, key=lambda row: row[0], reverse=True):
        freed = yield from free(account, need, settings.eviction_policy, "policy")
        need -= freed
        if account is not place.account:
            elsewhere -= freed
        if need.none:
            break
    return elsewhere


def _need(most: int, would: int) -> int:
    """How much has to go; 0: nothing."""
    return 0 if most == UNLIMITED or would <= most else would - most + most // _SPARE


def _lent(most: int, elsewhere: int) -> int:
    return UNLIMITED if most == UNLIMITED else max(0, most - elsewhere)


def _refused(place: Place, most: Amount, would: Amount) -> QuotaExceeded:
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
