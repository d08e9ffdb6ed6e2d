"""Counting on the way: what is timed, what is reported, and how much of it is kept."""

from itertools import pairwise
from typing import Any

import pytest

from commands._fields import MAX_AMOUNT
from riptide.cache.access import tally as tallies
from riptide.cache.access.tally import Tallies, Tally
from riptide.cache.stats import COUNTED
from riptide.tenants.facts import Facts


def test_one_read_in_64_or_so_is_timed_and_none_waits_long() -> None:
    tally = Tally()
    timed = [number for number in range(64_000) if tally.begin()]
    gaps = [after - before for before, after in pairwise(timed)]
    assert max(gaps) < 128
    assert 800 < len(timed) < 1250
    assert len(set(gaps)) > 60, "by chance, not by a rhythm"


def test_what_a_timed_read_took(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally()
    monkeypatch.setattr(tallies, "perf_counter", lambda: 100.000_25)
    tally.end(100.0)
    tally.end(100.000_125)
    assert (tally.timed, tally.timed_us) == (2, 250 + 125)


def told(counts: list[int]) -> dict[str, int]:
    return {name: count for name, count in zip(COUNTED, counts, strict=True) if count}


def test_each_count_is_reported_once() -> None:
    tally = Tally()
    assert tally.unreported() == []
    tally.hits, tally.value_bytes = 3, 2 * MAX_AMOUNT + 5
    first = tally.unreported()
    assert told(first) == {"hits": 3, "value_bytes": MAX_AMOUNT}
    tally.report(first)
    tally.hits += 1
    second = tally.unreported()
    assert told(second) == {"hits": 1, "value_bytes": MAX_AMOUNT}
    tally.report(second)
    tally.take_back(second)
    assert tally.unreported() == second
    tally.report(second)
    assert told(tally.unreported()) == {"value_bytes": 5}
    tally.leave_to_parent()
    assert tally.unreported() == []


def test_so_many_tenants_are_told_apart_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "_MOST_TENANTS", 3)
    found = Tallies()
    ours: list[Any] = [found.of(Facts(f"t{number}")) for number in range(5)]
    again = found.of(Facts("t0", incarnation="0" * 16))
    assert found.full
    assert [tally.tenant for tally in found] == ["t0", "t1", "t2"]
    assert ours[3] is ours[4] is again is found.others
    for tally in (*ours, again):
        tally.hits += 1
        tally.errors += 2
    assert (found.total().hits, found.total().errors) == (6, 12)
    found.start_over()
    assert not found.full
    assert (found.total().hits, found.total().errors) == (6, 12)
    assert found.of(Facts("t4")).tenant == "t4"
    assert found.of(Facts("t4")) is not found.of(Facts("t4", incarnation="1" * 16))
