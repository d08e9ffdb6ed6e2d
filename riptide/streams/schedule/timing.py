"""When something is due. Pure: a time goes in, slots come out, all of them Unix milliseconds, in UTC."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from cronsim import CronSim

from riptide.config import ScheduleEntry

NEVER = 2**63 - 1


class Timing(Protocol):
    def newest(self, now_ms: int) -> int | None:
        """The last slot that is not after `now_ms`; None if there has never been one."""
        ...

    def following(self, now_ms: int) -> int:
        """The first slot after `now_ms`; NEVER if none comes."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """Every so many seconds, counted from the Unix epoch: so all hosts agree, whenever they started."""

    seconds: int

    def newest(self, now_ms: int) -> int:
        step = self.seconds * 1000
        return now_ms // step * step

    def following(self, now_ms: int) -> int:
        return self.newest(now_ms) + self.seconds * 1000

    def __str__(self) -> str:
        return f"every {_span(self.seconds)}"


@dataclass(frozen=True, slots=True)
class Monthly:
    """So many seconds after each month's end."""

    grace: int

    def newest(self, now_ms: int) -> int:
        return self._slot(month_of(now_ms - self.grace * 1000))

    def following(self, now_ms: int) -> int:
        start = month_of(now_ms - self.grace * 1000)
        return self._slot((start + timedelta(days=32)).replace(day=1))

    def _slot(self, start: datetime) -> int:
        return _ms(start) + self.grace * 1000

    def __str__(self) -> str:
        return f"month's end + {_span(self.grace)}"


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression of five fields, read as Debian's cron reads it."""

    expression: str

    def newest(self, now_ms: int) -> int | None:
        # The simulation leaves its start out; so it starts a second after what may be the newest.
        after = moment(now_ms // 1000 * 1000) + timedelta(seconds=1)
        slot = next(CronSim(self.expression, after, reverse=True), None)
        return None if slot is None else _ms(slot)

    def following(self, now_ms: int) -> int:
        slot = next(CronSim(self.expression, moment(now_ms)), None)
        return NEVER if slot is None else _ms(slot)

    def __str__(self) -> str:
        return f"cron {self.expression}"


def timing_of(entry: ScheduleEntry) -> Timing:
    if entry.every is not None:
        return Every(entry.every)
    return Monthly(entry.monthly) if entry.monthly is not None else Cron(entry.cron or "")


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)


def month_of(ms: int) -> datetime:
    """When the month of `ms` began."""
    return moment(ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def slot_text(slot_ms: int) -> str:
    """A slot as it is written in names: `2026-11-20T12:05Z`, with seconds where there are some."""
    time = moment(slot_ms)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ" if time.second else "%Y-%m-%dT%H:%MZ")


def month_before(slot_ms: int) -> str:
    """The month that had ended at a slot: `2026-10`."""
    return (month_of(slot_ms) - timedelta(days=1)).strftime("%Y-%m")


def _span(seconds: int) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)
