"""Who looks after all accounts: a thread of every worker, of which one at a time is at work.

It takes expired entries off accounts that nobody touches, removes what invalidations left behind, and evicts
where all tenants together hold more than `cache.max_memory_bytes`. Whatever it does is right if two do it.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from riptide.cache.accounts.caps import CapArguments, caps_of
from riptide.cache.accounts.lending import shift
from riptide.cache.accounts.shares import Holding, excesses
from riptide.cache.accounts.sweeping import Walk
from riptide.cache.accounts.victims import Amount, Move, free
from riptide.cache.spill.spilling import Spilling
from riptide.config import Settings
from riptide.errors import BlobError, ConfigError
from riptide.metrics.instruments import PRESSURE
from riptide.store.keys import Keys
from riptide.store.operation import Flow, ask_all
from riptide.store.sync import Store
from riptide.tenants.accounts.account import Account, Balance, settle
from riptide.tenants.accounts.blobs import SpillBlobs
from riptide.tenants.accounts.everybody import everybody
from riptide.tenants.accounts.keeping import REST, Keeping
from riptide.tenants.facts import Facts
from riptide.tenants.resources import UNLIMITED

_SHORTEST, _LONGEST = 1.0, 10.0
_LEARN_AGAIN_SECONDS = 60.0
_TOGETHER = 200
_STEPS_PER_PASS = 20


class _Kept(NamedTuple):
    """An account, whose it is, and the weight of its claim to a share."""

    facts: Facts
    account: Account
    weight: int
    caps: CapArguments

    @property
    def tenant(self) -> str:
        return self.facts.tenant


class Keeper(Keeping):
    """Keeps accounts until `stop()`. `name` tells it from those of other processes. With `open_blobs` entries
    are spilled, where that is configured."""

    def __init__(
        self, settings: Settings, name: str, open_blobs: Callable[[], SpillBlobs] | None = None
    ) -> None:
        super().__init__(settings, "accounts", name, "riptide.cache")
        self._spilling = (
            Spilling(self._keys, settings, open_blobs, lambda function: function()) if open_blobs else None
        )
        self._spill_at = 0.0
        self._kept: list[_Kept] = []
        self._learnt = -_LEARN_AGAIN_SECONDS
        self._walks: dict[str, Walk] = {}
        self._apart: dict[str, tuple[int, int]] = {}
        self._pause = _SHORTEST

    def _lost(self) -> None:
        self._walks.clear()

    def _look(self, store: Store) -> float:
        now = time.monotonic()
        if now - self._learnt > _LEARN_AGAIN_SECONDS:
            self._kept = store.drive(_all_accounts(self._keys, self._settings))
            self._learnt = now
        balances = self._balances()
        self._mend(balances)
        swept = self._sweep(balances)
        spilled = self._spill(store)
        evicted = self._evict(balances)
        full = sum(balance.bytes for balance in balances) > self._settings.cache.max_memory_bytes // 2
        self._pause = _SHORTEST if swept or spilled or evicted or full else min(_LONGEST, 2 * self._pause)
        return self._pause

    def _balances(self) -> list[Balance]:
        """All accounts, settled."""
        assert self._store is not None
        found: list[Balance] = []
        for start in range(0, len(self._kept), _TOGETHER):
            if self._stopped.is_set() or not self._is_mine():
                break
            part = self._kept[start : start + _TOGETHER]
            found += self._store.drive(_settled([kept.account for kept in part]))
        return found

    def _mend(self, balances: Sequence[Balance]) -> None:
        """Where the parts of a tenant's shards do not come to its caps, and did not at the last look either,
        somebody has died over lending: put that right."""
        assert self._store is not None
        apart: dict[str, tuple[int, int]] = {}
        for kept, balance in zip(self._kept, balances, strict=False):
            entries, size = apart.get(kept.tenant, (0, 0))
            apart[kept.tenant] = entries + balance.more_entries, size + balance.more_bytes
        apart = {tenant: sums for tenant, sums in apart.items() if sums != (0, 0)}
        for kept in self._kept:
            sums = apart.get(kept.tenant)
            if sums is not None and self._apart.get(kept.tenant) == sums:
                self._store.run(shift(kept.account, -sums[0], -sums[1], kept.caps))
                del apart[kept.tenant]
        self._apart = apart

    def _sweep(self, balances: Sequence[Balance]) -> bool:
        """Some steps through accounts with garbage; whether there is any."""
        assert self._store is not None
        dirty = [kept.account for kept, balance in zip(self._kept, balances, strict=False) if balance.garbage]
        for account in dirty:
            walk = self._walks.setdefault(account.tag, Walk(account))
            for _ in range(_STEPS_PER_PASS):
                if self._stopped.is_set():
                    return True
                if self._store.drive(walk.step()):
                    del self._walks[account.tag]
                    break
        return bool(dirty)

    def _spill(self, store: Store) -> bool:
        """Move entries out where they take too much; whether there was anything to do."""
        if self._spilling is None or time.monotonic() < self._spill_at:
            return False
        started = time.monotonic()
        try:
            done = store.drive(self._spilling.spill(None, None, lambda *_: None, self._stopped.is_set))
        except (BlobError, ConfigError) as error:
            self._spill_at = time.monotonic() + _LONGEST
            self._log.warning("cannot spill entries", error=str(error))
            return False
        ended = time.monotonic()
        self._spill_at = ended + max(REST * (ended - started), _LONGEST if done.nothing else 0.0)
        if not done.nothing:
            self._log.info(
                "spilled", entries=done.entries, bytes=done.bytes, blobs=done.blobs, full=done.full
            )
        return not done.nothing

    def _evict(self, balances: Sequence[Balance]) -> bool:
        """Make room where all together hold too much."""
        assert self._store is not None
        cache = self._settings.cache
        if len(balances) < len(self._kept) or sum(b.bytes for b in balances) <= cache.max_memory_bytes:
            return False
        PRESSURE.add("cache")
        holdings = [Holding(b.bytes, kept.weight) for b, kept in zip(balances, self._kept, strict=True)]
        for kept, excess in zip(self._kept, excesses(holdings, cache.max_memory_bytes), strict=True):
            if excess and not self._stopped.is_set():
                move = self._moving(kept.facts)
                flow = free(kept.account, Amount(0, excess), cache.eviction_policy, "deployment", move)
                freed = self._store.drive(flow)
                self._log.info("evicted", tenant=kept.account.tag, entries=freed.entries, bytes=freed.bytes)
        return True

    def _moving(self, facts: Facts) -> Move | None:
        if self._spilling is None or not self._spilling.moving.wanted:
            return None
        moving = self._spilling.moving
        return lambda account, members, need: moving.instead_of_dropping(account, facts, members, need)


def _settled(accounts: Sequence[Account]) -> Flow[list[Balance]]:
    balances = yield from ask_all([account.settle() for account in accounts])
    for place, account in enumerate(accounts):
        if balances[place].more:
            balances[place] = yield from settle(account)
    return balances


def _all_accounts(keys: Keys, settings: Settings) -> Flow[list[_Kept]]:
    caps = caps_of(settings.cache, settings.tenant)
    found = yield from everybody(keys, settings.tenant)
    return [
        _Kept(facts, Account(keys, tag), _weight(settings, facts), caps.arguments(facts.shards))
        for facts in found
        for tag in facts.tags
    ]


def _weight(settings: Settings, facts: Facts) -> int:
    """Of each of its accounts: what the tenant may hold there."""
    limit = facts.limits.get("memory_bytes", settings.tenant.default_memory_quota)
    most = settings.cache.max_memory_bytes
    return max(1, (most if limit == UNLIMITED else min(limit, most)) // facts.shards)
