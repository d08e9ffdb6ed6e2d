"""Which sessions are spilled: driven without a server, by answers of its scripts."""

from collections.abc import Sequence
from typing import Any

import pytest

from riptide.state.sessions.operations import Place
from riptide.state.spill.choosing import Holding, choose
from riptide.store.keys import Keys
from riptide.tenants.accounts.sessions import SessionLevels
from riptide.tenants.facts import Facts


def holding(tenant: str, sessions: int, size: int, spilled: int = 0) -> Holding:
    levels = SessionLevels(sessions=sessions, memory_bytes=sessions * size, spilled=spilled)
    return Holding(Facts(tenant), levels)


def chosen(holdings: Sequence[Holding], need: int, samples: list[Any], idle: list[Any]) -> list[Place]:
    flow = choose(Keys("p"), holdings, need)
    try:
        flow.send(None)
        flow.send(samples)
        flow.send(idle)
    except StopIteration as stop:
        found: list[Place] = stop.value
        return found
    raise AssertionError("it asks no more")


def test_those_not_used_for_longest_come_first_whoever_has_them() -> None:
    two = [holding("a", 2, 100), holding("b", 2, 100)]
    samples = [[("a1", 50), ("a2", 40)], [("b1", 30), ("b2", 20)]]
    found = chosen(two, 300, samples, [[5, 1], [9, 1]])
    assert [one.id for one in found] == ["b1", "a1", "b2"], "where that is equal, the one that expires first"


def test_of_a_sample_a_fifth_goes_at_most() -> None:
    many = [holding("a", 1000, 100)]
    rows = [(f"s{number}", 9) for number in range(20)]
    assert [one.id for one in chosen(many, 10**9, [rows], [list(range(20))])] == ["s19", "s18", "s17", "s16"]


def test_nobody_has_any_in_memory() -> None:
    flow = choose(Keys("p"), [holding("a", 5, 100, spilled=5)], 100)
    with pytest.raises(StopIteration) as stopped:
        flow.send(None)
    assert stopped.value.value == []
