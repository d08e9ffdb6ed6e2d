"""What is to be told: pure. Of each thing it is remembered up to which level it was told, and since when.

A level is told when it is reached. What stays there is not told again; what falls back and returns is, but
not within the window.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from commands import Notify

#: In percent of a limit.
LEVELS = (100, 80)


@dataclass(frozen=True, slots=True)
class Seen:
    """A thing at a level: a quota at 80 or 100 %, a suspended tenant, so many dead letters; 0 is nothing.

    `about` are the fields of its notice. What `grows` is told at each higher level, once in a window.
    """

    name: str
    level: int
    about: Mapping[str, Any]
    tenant: str | None = None
    grows: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered of a thing. While `told` is False its notice may not have been published."""

    level: int
    since_ms: int
    told: bool = False

    def text(self) -> str:
        return f"{self.level} {self.since_ms} {int(self.told)}"


def read_state(text: str) -> State:
    level, since, told = text.split(" ")
    return State(int(level), int(since), told == "1")


def changes(
    before: Mapping[str, State], seen: Iterable[Seen], now_ms: int, window_ms: int
) -> dict[str, State | None]:
    """What is to be remembered anew by name, None: nothing any more."""
    there = {one.name: one for one in seen}
    found: dict[str, State | None] = {}
    for name in {**before, **there}:
        old, level = before.get(name), there[name].level if name in there else 0
        grows = name in there and there[name].grows
        new = _next(old, level, now_ms, window_ms, grows=grows)
        if new != old:
            found[name] = new
    return found


def _next(old: State | None, level: int, now_ms: int, window_ms: int, *, grows: bool) -> State | None:
    if old is None:
        return State(level, now_ms) if level else None
    over = now_ms - old.since_ms >= window_ms
    if level > old.level and (over or not grows):
        return State(level, now_ms)
    if level >= old.level or not (over or grows):
        return old
    return replace(old, level=level, told=True) if level else None


def notice(one: Seen, state: State) -> Notify:
    return Notify(at=state.since_ms, **one.about)


def key_of(one: Seen, state: State) -> str:
    """However often it is published, and by how many processes, it is one command."""
    return f"webhook:{one.name}:{state.level}:{state.since_ms}"
