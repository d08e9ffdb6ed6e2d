"""What a check says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from riptide.doctor.facts import Facts


class Level(StrEnum):
    ok = "ok"
    skipped = "skipped"
    warn = "warn"
    fail = "fail"

    @property
    def gravity(self) -> int:
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen, and what to do about it: nothing, where nothing is wrong."""

    level: Level
    seen: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """`looks` says what it looks at, `matters` what it means if that is not as it should be."""

    name: str
    looks: str
    matters: str
    look: "Callable[[Facts], Sequence[Finding]]"
    needs_server: bool = True


def ok(seen: str) -> Finding:
    return Finding(Level.ok, seen)


def skipped(why: str) -> Finding:
    return Finding(Level.skipped, why)


def warn(seen: str, remedy: str) -> Finding:
    return Finding(Level.warn, seen, remedy)


def fail(seen: str, remedy: str) -> Finding:
    return Finding(Level.fail, seen, remedy)


def problems_or(problems: Sequence[Finding], seen: str) -> Sequence[Finding]:
    """The problems; what was seen, if there are none."""
    return problems or [ok(seen)]


def few(names: Sequence[str], most: int = 5) -> str:
    """The first of several names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def span(seconds: float) -> str:
    """A number of seconds as people read it."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
