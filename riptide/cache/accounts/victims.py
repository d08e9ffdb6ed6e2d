"""Which entries give way: garbage first, then by policy. Chosen here, removed by scripts."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from riptide.store.operation import Flow, Operation, ask, identity
from riptide.store.script import Script
from riptide.tenants.accounts.account import Account, ask_settled, settle

_CHOOSE = Script.load("riptide.cache", "choose.lua")
_IDLE = Script.load("riptide.cache", "idle.lua")
_EVICT = Script.load("riptide.cache", "evict.lua")
_SWEEP = Script.load("riptide.cache", "sweep.lua")

# A step holds the server for less than a millisecond.
_MOST_SAMPLED, _MOST_EVICTED = 400, 100
# Of so many sampled entries one gives way: the more, the closer it is to the truly least recently used.
_SAMPLED_PER_VICTIM = 5
_FRUITLESS = 3


class Amount(NamedTuple):
    """Of entries and of their bytes."""

    entries: int
    bytes: int

    def __add__(self, other: "Amount") -> "Amount":  # type: ignore[override]
        return Amount(self.entries + other.entries, self.bytes + other.bytes)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(max(0, self.entries - other.entries), max(0, self.bytes - other.bytes))

    @property
    def none(self) -> bool:
        return self.entries <= 0 and self.bytes <= 0


_NOTHING = Amount(0, 0)


class Sample(NamedTuple):
    """Members of the index, and the namespaces among whose entries there is garbage."""

    marked: frozenset[str]
    members: list[str]


def free(account: Account, need: Amount, policy: str, why: str) -> Flow[Amount]:
    """Remove entries until what is needed is freed, or nothing is left; answers how much that was.

    Those that the policy chose are counted as `why`. For 'reject' it chooses as 'lru' does: the caller knows
    that something has to go.
    """
    yield from settle(account)
    freed, fruitless = _NOTHING, 0
    while not (need - freed).none and fruitless < _FRUITLESS:
        step = yield from _step(account, _wanted(need - freed, freed), policy, why)
        freed += step
        fruitless = 0 if step.entries else fruitless + 1
    return freed


def _wanted(need: Amount, before: Amount) -> int:
    """How many to remove next, taking them to be as large as those before."""
    by_size = -(-need.bytes * before.entries // before.bytes) if before.bytes else 1
    return max(1, min(_MOST_EVICTED, max(need.entries, by_size)))


def _step(account: Account, wanted: int, policy: str, why: str) -> Flow[Amount]:
    exact = policy in {"ttl", "random"}
    count = wanted if exact else min(_MOST_SAMPLED, wanted * _SAMPLED_PER_VICTIM)
    sample = yield from ask(_choose(account, count, policy))
    if sample.marked:
        wide = yield from ask(_choose(account, _MOST_SAMPLED, "random"))
        swept = yield from sweep(account, [m for m in wide.members if namespace_of(m) in wide.marked])
        if swept.entries:
            return swept
    if not sample.members:
        return _NOTHING
    members = sample.members if exact else (yield from _least_used(account, sample.members, policy))
    return (yield from _evict(account, members[:wanted], why))


def _choose(account: Account, count: int, policy: str) -> Operation[Sample]:
    def parse(reply: Any) -> Sample:
        marked, members = ([name.decode() for name in part] for part in reply)
        return Sample(frozenset(marked), members)

    return _CHOOSE.call([account.index, account.garbage], [count, policy], parse)


def _least_used(account: Account, members: Sequence[str], policy: str) -> Flow[list[str]]:
    names = [account.entry(member) for member in members]
    idle: list[int] = yield from ask(_IDLE.call(names, [policy], identity))
    order = sorted(range(len(members)), key=idle.__getitem__, reverse=True)
    return [members[place] for place in order]


def _evict(account: Account, members: Sequence[str], why: str) -> Flow[Amount]:
    names = [account.entry(member) for member in members]
    return (yield from ask_settled(account, account.call(_EVICT, names, [why, *members], _freed)))


def sweep(account: Account, members: Iterable[str]) -> Flow[Amount]:
    """Remove those entries that an invalidation of their namespace left behind."""
    by_namespace: dict[str, list[str]] = defaultdict(list)
    for member in members:
        by_namespace[namespace_of(member)].append(member)
    freed = _NOTHING
    for namespace, own in by_namespace.items():
        for start in range(0, len(own), _MOST_SAMPLED):
            part = own[start : start + _MOST_SAMPLED]
            names = [account.epoch(namespace), *map(account.entry, part)]
            freed += yield from ask_settled(account, account.call(_SWEEP, names, part, _freed))
    return freed


def namespace_of(member: str) -> str:
    return member.partition(":")[0]


def _freed(reply: Any) -> Amount:
    return Amount(*reply)
