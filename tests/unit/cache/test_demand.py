"""Counting which keys are read: bounded, the most read ones kept, told in commands of bounded size."""

import random
from collections import Counter

from riptide.cache.core import Core
from riptide.cache.popularity.demand import Demand, Demands, Reads, Room
from riptide.cache.popularity.reports import parts
from riptide.config import CacheSettings
from riptide.store.keys import Keys
from tests.support.anybody import Anybody, found


def test_what_is_read_most_is_kept(rng: random.Random) -> None:
    reads, truth = Reads(100, Room()), Counter[str]()
    # From the start: a key of these that is seen once when there is no room left would have to go.
    often = [str(number) for number in range(1, 21)] * 5
    for key in (*often, *(str(int(rng.paretovariate(0.5))) for _ in range(20_000))):
        truth[key] += 1
        reads[key] += 1
        assert len(reads) <= 100
    assert len(truth) > 200
    for key, count in truth.most_common(10):
        assert reads[key] == count, "it was never among those that had to go"


def test_many_keys_at_once_are_bounded_too() -> None:
    reads = Reads(100, Room())
    reads.count(str(number) for number in range(1000))
    assert len(reads) <= 100
    reads.count(["a", "a", "b"])
    assert (reads["a"], reads["b"]) == (2, 1)


def test_all_share_one_room() -> None:
    room = Room(50)
    several = [Reads(40, room) for _ in range(5)]
    for number in range(40):
        for reads in several:
            reads[str(number)] += 1
    assert sum(map(len, several)) <= 50 + len(several)
    assert room.left == 50 - sum(map(len, several))


def test_what_is_taken_is_counted_anew_and_may_be_given_back() -> None:
    room = Room(10)
    demand = Demand("pages", 10, room)
    demand.reads["a"] += 2
    demand.loaded("a", 30)
    assert demand.take() == ({"a": 2}, {"a": 30})
    assert demand.take() == ({}, {})
    assert room.left == 10
    demand.reads["a"] += 1
    demand.loaded("a", 50)
    demand.give_back({"a": 2, "b": 1}, {"a": 30, "b": 7})
    assert demand.take() == ({"a": 3, "b": 1}, {"a": 50, "b": 7})


def test_namespaces_are_bounded() -> None:
    demands, room = Demands(), Room()
    assert all(demands.of(f"n{number}", 10, room) for number in range(100))
    assert demands.of("n100", 10, room) is None
    assert demands.of("n7", 10, room) is demands.of("n7", 10, room)


def test_commands_hold_so_much_and_the_most_read_come_first() -> None:
    reads = {f"key {number} {'x' * number}": number for number in range(1, 1500)}
    told: dict[str, int] = {}
    for command in parts("pages", reads, {"key 7 xxxxxxx": 3, "loaded": 5}, 20_000):
        assert len(command.body()) <= 20_000
        assert len(command.keys) <= 500
        assert command.namespace == "pages"
        assert not told or min(told.values()) >= max(command.keys.values(), default=0)
        told |= command.keys
        if "loaded" in command.load_us:
            assert command.load_us["key 7 xxxxxxx"] == 3
    assert told == reads
    assert not list(parts("pages", {"x" * 500: 1}, {}, 600)), "what no body could hold"


def test_nobody_counts_where_it_is_off_or_encrypted() -> None:
    core = Core(Keys(), CacheSettings(), Anybody(Keys()))
    assert found(core, "acme").demand is None
    core.counts_keys = True
    assert found(core, "globex").demand is not None
