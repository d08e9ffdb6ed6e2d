"""What one connection reads next: never more than there is room for, and every stream in the end."""

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riptide.streams.intake import Intake, Poll, Stream, Wait
from riptide.streams.registry import CommandType, Handler
from riptide.streams.slots import SHARED, Slots
from tests.support.commands import Noop, noop


def types_of(*shapes: tuple[int, int]) -> list[CommandType]:
    """A type for each (batch size, slots of its own)."""
    return [
        CommandType(f"k{n}", Noop, Handler(noop, batch_size=batch, slots=slots))
        for n, (batch, slots) in enumerate(shapes)
    ]


def streams_of(types: list[CommandType], partitions: int) -> list[Stream]:
    return [Stream(kind.name, str(p), f"{kind.name}:{p}") for kind in types for p in range(partitions)]


SHAPES = st.lists(st.tuples(st.integers(1, 500), st.sampled_from([0, 0, 0, 1, 4])), min_size=1, max_size=6)


@given(
    shapes=SHAPES,
    concurrency=st.integers(1, 20),
    partitions=st.integers(1, 16),
    seed=st.integers(0, 2**32),
    rounds=st.integers(1, 40),
)
def test_it_never_asks_for_more_than_has_room(
    shapes: list[tuple[int, int]], concurrency: int, partitions: int, seed: int, rounds: int
) -> None:
    rng = random.Random(seed)
    types = types_of(*shapes)
    batch = {kind.name: kind.handler.batch_size for kind in types}
    slots = Slots(types, concurrency)
    intake = Intake(types, streams_of(types, partitions), slots)
    pools = {SHARED, *(slots.pool_of(kind.name) for kind in types)}
    whole = {pool: slots.free(pool) for pool in pools}
    running: list[str] = []
    for _ in range(rounds):
        plan = intake.plan()
        if isinstance(plan, list):
            for poll in plan:
                kinds = {stream.kind for stream in poll.streams}
                assert len(kinds) == 1
                kind = kinds.pop()
                assert poll.slots >= 1
                assert 1 <= poll.count * len(poll.streams) <= poll.slots * batch[kind]
                counts = {stream: rng.randint(0, poll.count) for stream in poll.streams}
                if rng.random() < 0.1:
                    intake.postponed(poll)
                else:
                    intake.polled(poll, counts)
                running += [slots.pool_of(kind)] * poll.slots
        elif isinstance(plan, Wait) and plan.streams:
            assert all(slots.free(slots.pool_of(stream.kind)) > 0 for stream in plan.streams)
            intake.woken(rng.sample(list(plan.streams), min(2, len(plan.streams))))
        else:
            assert not any(slots.free(slots.pool_of(kind.name)) for kind in types)
        assert all(slots.free(pool) >= 0 for pool in pools)
        rng.shuffle(running)
        while running and rng.random() < 0.7:
            slots.give_back(running.pop())
    for pool in running:
        slots.give_back(pool)
    assert {pool: slots.free(pool) for pool in pools} == whole


def read(intake: Intake, slots: Slots, backlog: Counter[Stream]) -> Counter[Stream]:
    """One round against streams that hold `backlog`; what was read. Handlers end at once."""
    taken: Counter[Stream] = Counter()
    match intake.plan():
        case Wait(streams):
            ready = [stream for stream in streams if backlog[stream]]
            for stream in ready:
                taken[stream] += 1
            intake.woken(ready)
        case list() as polls:
            for poll in polls:
                counts = {stream: min(poll.count, backlog[stream]) for stream in poll.streams}
                taken.update(counts)
                intake.polled(poll, counts)
                slots.give_back(slots.pool_of(poll.streams[0].kind), poll.slots)
    backlog.subtract(taken)
    return taken


@pytest.mark.parametrize("concurrency", [1, 10])
def test_a_stream_that_never_runs_dry_starves_no_other(concurrency: int) -> None:
    types = types_of((1, 0), (100, 0), (1, 4))
    streams = streams_of(types, 16)
    slots = Slots(types, concurrency)
    rounds = itertools.count()
    intake = Intake(types, streams, slots, lambda: next(rounds) * 0.01)
    backlog: Counter[Stream] = Counter()
    for _ in range(100):  # all is quiet
        read(intake, slots, backlog)
    backlog[streams[0]] = 10**9
    for _ in range(100):  # one stream is busy for good
        read(intake, slots, backlog)
    late = [streams[1], streams[20], streams[40]]
    for stream in late:
        backlog[stream] = 1
    for _ in range(2000):
        read(intake, slots, backlog)
    assert [backlog[stream] for stream in late] == [0, 0, 0]


@given(seed=st.integers(0, 2**32), concurrency=st.integers(1, 12), shapes=SHAPES)
def test_everything_is_read_in_the_end(seed: int, concurrency: int, shapes: list[tuple[int, int]]) -> None:
    rng = random.Random(seed)
    types = types_of(*shapes)
    streams = streams_of(types, 4)
    slots = Slots(types, concurrency)
    intake = Intake(types, streams, slots)
    backlog = Counter({stream: rng.randrange(200) for stream in streams})
    rounds = 0
    while +backlog:
        read(intake, slots, backlog)
        rounds += 1
        assert rounds < 200 * len(streams) + 100


def test_half_of_the_free_slots_are_kept_for_the_next_read() -> None:
    types = types_of((1000, 4))
    slots = Slots(types, 1)
    intake = Intake(types, streams_of(types, 1), slots)
    taken = []
    while isinstance(plan := intake.plan(), list):
        taken.append(plan[0].slots)
        intake.polled(plan[0], {plan[0].streams[0]: plan[0].count})
    assert taken == [2, 1, 1]


def test_few_streams_are_read_at_a_time_once_they_are_known_to_hold_much() -> None:
    types = types_of((1000, 4))
    streams = streams_of(types, 64)
    slots = Slots(types, 1)
    intake = Intake(types, streams, slots)
    backlog = Counter({stream: 100_000 if n < 16 else 0 for n, stream in enumerate(streams)})
    shapes = [+read(intake, slots, backlog) for _ in range(40)]
    assert len(shapes[0]) == 16, "all are looked at first"
    assert all(len(shape) <= 2 for shape in shapes[8:]), "as many as a read has slots for"
    assert all(shape.total() == 2000 for shape in shapes[8:])
    assert len(set().union(*shapes[8:])) == 16, "each in its turn"


def test_streams_that_hold_little_are_read_together() -> None:
    types = types_of((1000, 4))
    streams = streams_of(types, 64)
    slots = Slots(types, 1)
    intake = Intake(types, streams, slots)
    for _ in range(5):
        read(intake, slots, Counter())
        intake.woken(streams)
        plan = intake.plan()
        assert isinstance(plan, list)
        assert len(plan[0].streams) == 64
        intake.polled(plan[0], dict.fromkeys(streams, 3))
        slots.give_back(slots.pool_of("k0"), plan[0].slots)


def test_a_failed_poll_is_repeated() -> None:
    types = types_of((10, 0))
    slots = Slots(types, 1)
    intake = Intake(types, streams_of(types, 2), slots)
    plan = intake.plan()
    assert isinstance(plan, list)
    [poll] = plan
    intake.postponed(poll)
    slots.give_back(SHARED, poll.slots)
    again = intake.plan()
    assert isinstance(again, list)
    assert set(again[0].streams) == set(poll.streams)


def test_a_type_with_slots_of_its_own_never_waits_behind_others() -> None:
    types = types_of((1, 0), (50, 4))
    slots = Slots(types, 2)
    intake = Intake(types, streams_of(types, 1), slots)
    assert slots.take(SHARED, 2) == 2
    plan = intake.plan()
    assert isinstance(plan, list)
    assert [poll.streams[0].kind for poll in plan] == ["k1"]
    assert isinstance(plan[0], Poll)


def test_slots_tell_when_room_returns() -> None:
    types = types_of((1, 0), (1, 2))
    slots = Slots(types, 2)
    told = []
    slots.on_room = lambda: told.append(slots.free(SHARED))
    assert slots.take(SHARED, 5) == 2
    assert slots.take(SHARED, 1) == 0
    assert slots.take(slots.pool_of("k1"), 5) == 2
    slots.give_back(SHARED, 0)
    assert told == []
    slots.give_back(SHARED)
    slots.give_back(SHARED)
    assert told == [1], "only when there was none before"
