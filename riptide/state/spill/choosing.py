"""Which sessions are spilled: those not used for longest, of all tenants together."""

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from riptide.state.sessions.operations import Home, Place
from riptide.state.spill.operations import sample
from riptide.store.keys import Keys
from riptide.store.operation import Flow, ask_all
from riptide.tenants.accounts.idle import idle
from riptide.tenants.accounts.sessions import SessionLevels
from riptide.tenants.facts import Facts

# A step holds the server for less than a millisecond.
_MOST_SAMPLED, _MOST_TENANTS = 200, 32
# Where that is not all of them, of so many sampled ones one goes: the more, the closer it is to the truth.
_SAMPLED_PER_VICTIM = 5


class Holding(NamedTuple):
    """A tenant, and what its sessions take."""

    facts: Facts
    levels: SessionLevels

    @property
    def in_memory(self) -> int:
        return self.levels.sessions - self.levels.spilled


def choose(keys: Keys, holdings: Sequence[Holding], need: int) -> Flow[list[Place]]:
    """About as many as `need` bytes take, those first that were not used for longest."""
    held = [one for one in holdings if one.in_memory > 0]
    if not held:
        return []
    chosen = _drawn(held)
    found = yield from ask_all([sample(keys, one.facts.tenant, _MOST_SAMPLED) for one in chosen])
    pairs = [
        (Place(home, session_id), expires)
        for home, rows in zip([Home(keys, one.facts) for one in chosen], found, strict=True)
        for session_id, expires in rows
    ]
    unused = yield from _unused(pairs)
    order = sorted(range(len(pairs)), key=lambda n: (-unused[n], pairs[n][1]))
    everything = len(pairs) >= sum(one.in_memory for one in held)
    most = len(pairs) if everything else max(1, len(pairs) // _SAMPLED_PER_VICTIM)
    return [pairs[n][0] for n in order[: min(most, _wanted(held, need))]]


def _drawn(held: Sequence[Holding]) -> Sequence[Holding]:
    """All of them, or some by chance, the more likely the more they hold."""
    if len(held) <= _MOST_TENANTS:
        return held
    weights = [one.levels.memory_bytes for one in held]
    return list({one.facts.tenant: one for one in random.choices(held, weights, k=_MOST_TENANTS)}.values())


def _unused(pairs: Sequence[tuple[Place, int]]) -> Flow[list[int]]:
    """How long each was not used; one call for each tenant."""
    by_tenant: dict[str, list[int]] = {}
    for number, (place, _) in enumerate(pairs):
        by_tenant.setdefault(place.facts.tenant, []).append(number)
    calls = [idle([pairs[n][0].name for n in own]) for own in by_tenant.values()]
    answers = yield from ask_all(calls)
    found: Mapping[int, int] = {
        number: seconds
        for own, answer in zip(by_tenant.values(), answers, strict=True)
        for number, seconds in zip(own, answer, strict=True)
    }
    return [found[number] for number in range(len(pairs))]


def _wanted(held: Sequence[Holding], need: int) -> int:
    """Taking them to be as large as all are on average; what is left is done by the next step."""
    count, size = sum(one.in_memory for one in held), sum(one.levels.memory_bytes for one in held)
    return max(1, -(-need * count // max(size, 1)))
