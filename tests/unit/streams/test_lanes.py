"""Lanes: one publish in flight in each, new after a fork, never used once the server may forget it."""

import os
import threading

from hypothesis import given
from hypothesis import strategies as st

from riptide.streams.lanes import Lane, Lanes


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def now_ms(self) -> int:
        return round(self.now * 1000)

    def monotonic(self) -> float:
        return self.now


def test_a_lane_counts_and_is_used_again() -> None:
    lanes = Lanes(Clock(), 100)
    first = lanes.borrow()
    assert first.number == 1
    lanes.give_back(first)
    again = lanes.borrow()
    assert (again.id, again.number) == (first.id, 2)
    assert lanes.borrow().id != again.id, "it is in use"


def test_one_that_is_not_given_back_is_gone() -> None:
    lanes = Lanes(Clock(), 100)
    thrown_away = lanes.borrow().id
    assert {lanes.borrow().id for _ in range(10)}.isdisjoint({thrown_away})


def test_one_that_the_server_may_have_forgotten_is_not_used() -> None:
    clock = Clock()
    lanes = Lanes(clock, 100)
    first, second = lanes.borrow(), lanes.borrow()
    lanes.give_back(first)
    lanes.give_back(second)
    clock.now = 49
    kept = lanes.borrow()
    assert kept is second
    lanes.give_back(kept)
    clock.now = 100
    fresh = lanes.borrow()
    assert fresh.number == 1
    assert fresh.id not in {first.id, second.id}


def test_its_age_counts_from_when_it_was_last_sent_not_given_back() -> None:
    clock = Clock()
    lanes = Lanes(clock, 100)
    slow = lanes.borrow()
    clock.now = 60  # as long took the answer
    lanes.give_back(slow)
    assert lanes.borrow().id != slow.id


@given(st.lists(st.one_of(st.floats(0, 200), st.none(), st.integers(0, 5)), max_size=60))
def test_no_number_of_a_lane_is_given_twice(steps: list[float | int | None]) -> None:
    clock = Clock()
    lanes = Lanes(clock, 100)
    out: list[Lane] = []
    seen: set[tuple[str, int]] = set()
    last: dict[str, float] = {}
    for step in steps:
        if step is None:
            lane = lanes.borrow()
            assert (lane.id, lane.number) not in seen
            assert clock.now - last.get(lane.id, clock.now) < 100, "the server still knows it"
            seen.add((lane.id, lane.number))
            last[lane.id] = clock.now
            assert all(lane is not other for other in out)
            out.append(lane)
        elif isinstance(step, int) and step < len(out):
            lanes.give_back(out.pop(step))
        else:
            clock.now += step


def test_threads_never_share_one() -> None:
    lanes = Lanes(Clock(), 100)
    seen: list[tuple[str, int]] = []

    def use() -> None:
        for _ in range(2000):
            lane = lanes.borrow()
            seen.append((lane.id, lane.number))
            lanes.give_back(lane)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == len(set(seen)) == 16_000
    assert len({lane for lane, _ in seen}) <= 8


def test_a_forked_child_starts_anew() -> None:
    lanes = Lanes(Clock(), 100)
    parents = lanes.borrow()
    lanes.give_back(parents)
    pid = os.fork()
    if pid == 0:
        os._exit(lanes.borrow().id == parents.id)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert lanes.borrow().id == parents.id
