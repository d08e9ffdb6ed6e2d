"""Who crowds a stream is told by what runs, and by what has just ended."""

import math

import pytest

from riptide.streams.crowd import Crowd
from riptide.streams.message import Entry


def entries(tenant: str, count: int = 1, partition: str = "3") -> list[Entry]:
    fields = [b"tenant", tenant.encode()]
    return [Entry("noop", partition, f"{n}-0", fields) for n in range(1, count + 1)]


def test_those_with_half_of_what_runs_crowd() -> None:
    running = [*[(entries("loud"), 0.1)] * 3, (entries("quiet"), 0.1), (entries("far", partition="4"), 0.1)]
    assert Crowd().pace("noop", "3", running) == {b"loud": pytest.approx(15)}, "three, each of 0.2 s"


def test_what_has_just_begun_is_judged_by_what_ended() -> None:
    crowd = Crowd()
    for _ in range(5):
        crowd.ended(entries("loud"), 0.02)
    crowd.ended(entries("loud", partition="4"), 9)
    assert crowd.pace("noop", "3", [(entries("loud", 5), 0.0)]) == {b"loud": 250}
    assert Crowd().pace("noop", "3", [(entries("loud"), 0.0)]) == {b"loud": math.inf}


def test_a_call_is_no_shorter_than_it_is_already() -> None:
    crowd = Crowd()
    crowd.ended(entries("loud"), 0.01)
    assert crowd.pace("noop", "3", [(entries("loud"), 10.0)]) == {b"loud": 0.1}


def test_where_nothing_runs_those_crowd_who_just_did() -> None:
    crowd = Crowd()
    for tenant in ("loud", "loud", "quiet"):
        crowd.ended(entries(tenant), 0.02)
    assert crowd.pace("noop", "3", []) == {b"loud": 100}
    assert crowd.pace("other", "3", []) == {}


def test_only_the_last_calls_count() -> None:
    crowd = Crowd()
    crowd.ended(entries("loud"), 0.02)
    for _ in range(64):
        crowd.ended(entries("quiet"), 0.02)
    assert list(crowd.pace("noop", "3", [])) == [b"quiet"]
