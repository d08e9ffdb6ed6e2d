"""What is told, and when again."""

from typing import Any

import pytest

from riptide.reads.webhooks.deciding import Seen, State, changes, read_state

WINDOW = 1000


def at(level: int, *, grows: bool = False) -> Seen:
    return Seen("it", level, {}, grows=grows)


def play(story: list[tuple[int, int]], **kind: Any) -> list[tuple[int, int]]:
    """Of levels seen at times, those that are told."""
    states: dict[str, State] = {}
    told = []
    for now, level in story:
        for name, state in changes(states, [at(level, **kind)] if level or kind else [], now, WINDOW).items():
            if state is None:
                del states[name]
            else:
                states[name] = state
        if (state := states.get("it")) and not state.told and state.level == level:
            told.append((now, level))
            states["it"] = State(state.level, state.since_ms, told=True)
    return told


@pytest.mark.parametrize(
    ("story", "told"),
    [
        ([(0, 80), (10, 80), (5000, 80)], [(0, 80)]),  # it stays
        ([(0, 80), (10, 100), (20, 80), (30, 100)], [(0, 80), (10, 100)]),  # it comes and goes in a window
        (
            [(0, 100), (10, 0), (20, 100), (2000, 0), (2010, 100), (2020, 0), (2030, 100)],
            [(0, 100), (2010, 100)],
        ),
        ([(0, 100), (2000, 80), (2010, 100)], [(0, 100), (2010, 100)]),
        ([(0, 0), (10, 100), (20, 100)], [(10, 100)]),  # 80 is passed over
    ],
)
def test_levels(story: list[tuple[int, int]], told: list[tuple[int, int]]) -> None:
    assert play(story) == told


@pytest.mark.parametrize(
    ("story", "told"),
    [
        ([(0, 3), (10, 5), (20, 9), (1000, 9), (1010, 10)], [(0, 3), (1000, 9)]),  # once in a window
        ([(0, 3), (10, 0), (20, 2)], [(0, 3), (20, 2)]),  # new ones after all were dropped
        ([(0, 3), (1500, 1), (1600, 3)], [(0, 3), (1600, 3)]),
        ([(0, 0)], []),
    ],
)
def test_what_grows(story: list[tuple[int, int]], told: list[tuple[int, int]]) -> None:
    assert play(story, grows=True) == told


def test_a_state_is_written_and_read() -> None:
    assert read_state(State(80, 12, told=True).text()) == State(80, 12, told=True)
