"""Which entries give way: garbage first, then by policy. Chosen here, removed by scripts."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from riptide.cache.entry import TAG_BYTES
from riptide.metrics.instruments import EVICTIONS
from riptide.store.operation import Arg, Flow, Operation, ask
from riptide.store.script import Script
from riptide.tenants.accounts.account import Account, ask_settled, settle
from riptide.tenants.accounts.idle import idle

_CHOOSE = Script.load("riptide.cache", "choose.lua")
_EVICT = Script.load("riptide.cache", "evict.lua")
_SWEEP = Script.load("riptide.cache", "sweep.lua")
_TAGGED = Script.load("riptide.cache", "tagged.lua")

# A step holds the server for less than a millisecond.
_MOST_SAMPLED, _MOST_EVICTED = 400, 100
# Of so many sampled entries one gives way: the more, the closer it is to the truly least recently used.
_SAMPLED_PER_VICTIM, _LEAST_SAMPLED = 5, 20
_FRUITLESS = 3
# Entries and indexes of tags in one call: a variadic one stays under 1,000 arguments.
_MOST_TOGETHER = 400

#: The index of a tag, and which of the entries bears it.
_Tag = tuple[str, int]


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


NOTHING = Amount(0, 0)


class Sample(NamedTuple):
    """Members of the index, and the namespaces among whose entries there is garbage."""

    marked: frozenset[str]
    members: list[str]


#: Moves some of an account's entries out of memory, the first ones first, and keeps them; so many bytes are
#: needed. Answers how many it freed.
Move = Callable[[Account, Sequence[str], int], Flow[Amount]]


def free(account: Account, need: Amount, policy: str, why: str, move: Move | None = None) -> Flow[Amount]:
    """Remove entries until what is needed is freed, or nothing is left; answers how much that was.

    Those that the policy chose are counted as `why`. With `move` they are moved, as far as that can be. For
    'reject' it chooses as 'lru' does: the caller knows that something has to go.
    """
    yield from settle(account)
    freed, fruitless = NOTHING, 0
    while not (need - freed).none and fruitless < _FRUITLESS:
        step = yield from _step(account, need - freed, _wanted(need - freed, freed), policy, why, move)
        freed += step
        fruitless = fruitless + 1 if step.none else 0
    return freed


def _wanted(need: Amount, before: Amount) -> int:
    """How many to remove next, taking them to be as large as those before."""
    by_size = -(-need.bytes * before.entries // before.bytes) if before.bytes else 1
    return max(1, min(_MOST_EVICTED, max(need.entries, by_size)))


def _step(
    account: Account, need: Amount, wanted: int, policy: str, why: str, move: Move | None
) -> Flow[Amount]:
    exact = policy in {"ttl", "random"}
    count = wanted if exact else min(_MOST_SAMPLED, max(_LEAST_SAMPLED, wanted * _SAMPLED_PER_VICTIM))
    sample = yield from ask(propose(account, count, policy))
    if sample.marked:
        wide = yield from ask(propose(account, _MOST_SAMPLED, "random"))
        swept = yield from sweep(account, [m for m in wide.members if namespace_of(m) in wide.marked])
        if swept.entries:
            return swept
    if not sample.members:
        return NOTHING
    members = sample.members if exact else (yield from _least_used(account, sample.members, policy))
    if move is not None and not need.entries:
        # Rather is something moved that was used later than something dropped.
        moved = yield from move(account, members, need.bytes)
        if moved.bytes:
            return moved
    return (yield from _evict(account, members[:wanted], why))


def propose(account: Account, count: int, policy: str) -> Operation[Sample]:
    """Up to so many that could give way."""

    def parse(reply: Any) -> Sample:
        marked, members = ([name.decode() for name in part] for part in reply)
        return Sample(frozenset(marked), members)

    return _CHOOSE.call([account.index, account.garbage], [count, policy], parse)


def _least_used(account: Account, members: Sequence[str], policy: str) -> Flow[list[str]]:
    names = [account.entry(member) for member in members]
    unused = yield from ask(idle(names, policy))
    order = sorted(range(len(members)), key=unused.__getitem__, reverse=True)
    return [members[place] for place in order]


def _evict(account: Account, members: Sequence[str], why: str) -> Flow[Amount]:
    freed = NOTHING
    for part, tags in (yield from _with_tags(account, members)):
        names = [*map(account.entry, part), *(index for index, _ in tags)]
        digests = [part[owner].partition(":")[2] for _, owner in tags]
        arguments: list[Arg] = [why, len(part), *part, *digests]
        freed += yield from ask_settled(account, account.call(_EVICT, names, arguments, _freed))
    EVICTIONS.add(why, by=freed.entries)
    return freed


def sweep(account: Account, members: Iterable[str]) -> Flow[Amount]:
    """Remove those entries that an invalidation of their namespace left behind."""
    by_namespace: dict[str, list[str]] = defaultdict(list)
    for member in members:
        by_namespace[namespace_of(member)].append(member)
    freed = NOTHING
    for namespace, own in by_namespace.items():
        for part, tags in (yield from _with_tags(account, own)):
            names = [account.epoch(namespace), *map(account.entry, part), *(index for index, _ in tags)]
            arguments: list[Arg] = [len(part), *part, *(owner + 1 for _, owner in tags)]
            freed += yield from ask_settled(account, account.call(_SWEEP, names, arguments, _freed))
    return freed


def _with_tags(account: Account, members: Sequence[str]) -> Flow[list[tuple[list[str], list[_Tag]]]]:
    """The entries in parts of a bounded size, each with the indexes of tags that its entries bear."""
    if not members:
        return []
    ids: list[bytes] = yield from ask(_TAGGED.call([*map(account.entry, members)], [], list))
    parts: list[tuple[list[str], list[_Tag]]] = [([], [])]
    for member, joined in zip(members, ids, strict=True):
        own, tags = parts[-1]
        if len(own) + len(tags) > _MOST_TOGETHER:
            own, tags = [], []
            parts.append((own, tags))
        namespace = namespace_of(member)
        for start in range(0, len(joined), TAG_BYTES):
            tags.append((account.tag_index(namespace, joined[start : start + TAG_BYTES]), len(own)))
        own.append(member)
    return parts


def namespace_of(member: str) -> str:
    return member.partition(":")[0]


def _freed(reply: Any) -> Amount:
    return Amount(*reply)
