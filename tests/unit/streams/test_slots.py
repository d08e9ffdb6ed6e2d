"""Executor slots, when there are to be more or fewer of them."""

from riptide.streams.registry import CommandType, Handler
from riptide.streams.slots import SHARED, Place, Slots
from tests.support.commands import Noop, noop

KIND = CommandType("noop", Noop, Handler(noop))
PLACE = Place("noop", "10", slow=False)


def test_more_slots_are_room_at_once() -> None:
    slots, room = Slots([KIND], 2), []
    slots.on_room = lambda: room.append(slots.free(SHARED))
    assert slots.take(SHARED, 5) == 2
    slots.resize(5)
    assert room == [3]
    assert slots.share(PLACE) == 3


def test_fewer_slots_take_none_away_from_what_runs() -> None:
    slots, room = Slots([KIND], 5), []
    slots.on_room = lambda: room.append(slots.free(SHARED))
    assert slots.take(SHARED, 4) == 4
    slots.resize(2)
    for _ in range(2):
        assert slots.free(SHARED) == slots.share(PLACE) == slots.take(SHARED, 1) == 0
        slots.give_back(SHARED)
    assert room == []
    slots.give_back(SHARED)
    assert (room, slots.free(SHARED)) == ([1], 1)
    slots.resize(2)
    slots.give_back(SHARED)
    assert slots.free(SHARED) == 2
