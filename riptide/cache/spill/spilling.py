"""Keeps what entries take in memory below a bound, by moving those not used for longest."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from riptide.cache.accounts.victims import Sample, propose
from riptide.cache.spill.moving import Moved, Moving
from riptide.cache.spill.operations import levels
from riptide.cache.spill.sweeping import Sweeping
from riptide.config import Settings
from riptide.store.keys import Keys
from riptide.store.operation import Flow, ask, ask_all
from riptide.tenants.accounts.account import Account, FactsOutdated, settle
from riptide.tenants.accounts.blobs import SpillBlobs
from riptide.tenants.accounts.everybody import owners
from riptide.tenants.accounts.idle import idle
from riptide.tenants.accounts.pressure import is_full
from riptide.tenants.facts import Facts
from riptide.tenants.keyring.ring import Blocking

_MOST_SAMPLED, _MOST_ACCOUNTS = 200, 32
# Where that is not all of them, of so many sampled ones one goes: the more, the closer it is to the truth.
_SAMPLED_PER_VICTIM = 5
_FRUITLESS = 5
_SWEPT_STEPS = 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done: `entries` that were moved, the `bytes` of memory that freed, the `blobs` that were
    removed. `full` are tenants whose storage_bytes allow no more blobs."""

    entries: int
    bytes: int
    blobs: int
    full: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        return not (self.entries or self.blobs or self.full)


class Holding(NamedTuple):
    """An account, whose it is, and what it holds."""

    facts: Facts
    account: Account
    entries: int
    bytes: int


class Spilling:
    """`open_blobs` opens the blob store, `blocking` calls what blocks."""

    def __init__(
        self, keys: Keys, settings: Settings, open_blobs: Callable[[], SpillBlobs], blocking: Blocking
    ) -> None:
        self._keys, self._settings = keys, settings
        blobs = cache(open_blobs)
        self.moving = Moving(keys, settings, blobs, blocking)
        self.sweeping = Sweeping(keys, blobs, blocking)

    def spill(
        self,
        tenant: str | None,
        keep_bytes: int | None,
        told: Callable[[int, int], None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> Flow[Outcome]:
        """Move entries of one tenant, or of all, until at most `keep_bytes` of them are in memory (None: 80 %
        of cache.max_memory_bytes), and remove blobs that nobody needs.

        `told` hears how many bytes of how many are moved; `stopped` is asked between two steps. Raises
        UnknownTenant, BlobError, ServerUnavailable.
        """
        whose = yield from owners(self._keys, self._settings.tenant, tenant)
        blobs = yield from self._sweep(whose)
        if not self._settings.cache.enable_spill:
            return Outcome(0, 0, blobs, ())
        holdings = yield from self._look(whose)
        total = sum(one.bytes for one in holdings)
        keep = (yield from self._bound(total)) if keep_bytes is None else keep_bytes
        moved, full = yield from self._move(whose, holdings, total - keep, told, stopped)
        return Outcome(moved.entries, moved.bytes, blobs, tuple(sorted(full)))

    def _sweep(self, whose: Sequence[Facts]) -> Flow[int]:
        removed = 0
        held = yield from ask_all([levels(self._keys, facts.tenant) for facts in whose])
        for facts, own in zip(whose, held, strict=True):
            if own.storage_bytes:
                removed += yield from self.sweeping.sweep(facts, _SWEPT_STEPS)
        concerned = self._settings.cache.enable_spill or any(own.total_spilled for own in held)
        if concerned and (yield from ask(self.sweeping.is_time())):
            removed += yield from self.sweeping.orphans.sweep()
        return removed

    def _look(self, whose: Sequence[Facts]) -> Flow[list[Holding]]:
        pairs = [(facts, Account(self._keys, tag)) for facts in whose for tag in facts.tags]
        balances = yield from ask_all([account.settle() for _, account in pairs])
        found = []
        for (facts, account), balance in zip(pairs, balances, strict=True):
            held = (yield from settle(account)) if balance.more else balance
            if held.entries:
                found.append(Holding(facts, account, held.entries, held.bytes))
        return found

    def _bound(self, total: int) -> Flow[int]:
        """Bytes that may stay. Where a server is full, three quarters of what there is, at each look."""
        bound = self._settings.cache.max_memory_bytes * 8 // 10
        return min(bound, total * 3 // 4) if (yield from is_full(self._keys)) else bound

    def _move(
        self,
        whose: Sequence[Facts],
        holdings: Sequence[Holding],
        need: int,
        told: Callable[[int, int], None],
        stopped: Callable[[], bool],
    ) -> Flow[tuple[Moved, set[str]]]:
        done, full, fruitless = Moved(), set[str](), 0
        while done.bytes < need and fruitless < _FRUITLESS and holdings:
            before = done.entries
            for holding, members in (yield from self._coldest(holdings)):
                if holding.facts.tenant in full:
                    continue
                step = yield from self._move_some(holding, members, need - done.bytes)
                done = Moved(done.entries + step.entries, done.bytes + step.bytes)
                if step.full:
                    full.add(holding.facts.tenant)
                told(max(0, min(done.bytes, need)), need)
                if done.bytes >= need or stopped():
                    return done, full
            fruitless = 0 if done.entries > before else fruitless + 1
            holdings = yield from self._look([facts for facts in whose if facts.tenant not in full])
        return done, full

    def _move_some(self, holding: Holding, members: Sequence[str], need: int) -> Flow[Moved]:
        try:
            return (yield from self.moving.move(holding.account, holding.facts, members, need))
        except FactsOutdated:  # the tenant is being purged, or another one
            return Moved()

    def _coldest(self, holdings: Sequence[Holding]) -> Flow[list[tuple[Holding, list[str]]]]:
        """Some of those not used for longest, by account, of all accounts together."""
        drawn = _drawn(holdings)
        samples: list[Sample] = yield from ask_all(
            [propose(one.account, _MOST_SAMPLED, "random") for one in drawn]
        )
        members = [list(dict.fromkeys(sample.members)) for sample in samples]
        unused = yield from ask_all(
            [idle([*map(one.account.entry, own)]) for one, own in zip(drawn, members, strict=True) if own]
        )
        filled = [(one, own) for one, own in zip(drawn, members, strict=True) if own]
        rows = [
            (seconds, number, member)
            for number, ((_, own), seen) in enumerate(zip(filled, unused, strict=True))
            for member, seconds in zip(own, seen, strict=True)
        ]
        rows.sort(key=lambda row: -row[0])
        everything = len(rows) >= sum(one.entries for one in holdings)
        chosen = rows if everything else rows[: max(1, len(rows) // _SAMPLED_PER_VICTIM)]
        by_account: dict[int, list[str]] = {}
        for _, number, member in chosen:
            by_account.setdefault(number, []).append(member)
        return [(filled[number][0], own) for number, own in by_account.items()]


def _drawn(holdings: Sequence[Holding]) -> Sequence[Holding]:
    """All of them, or some by chance, the more likely the more they hold."""
    if len(holdings) <= _MOST_ACCOUNTS:
        return holdings
    weights = [one.bytes for one in holdings]
    return list(
        {one.account.tag: one for one in random.choices(holdings, weights, k=_MOST_ACCOUNTS)}.values()
    )
