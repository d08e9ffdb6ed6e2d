"""Hours and months in UTC: what they are called, and how long their sums are kept."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from riptide.errors import InvalidInput

HOUR_MS = 3_600_000
#: After their end, in days.
HOURS_KEPT, MONTHS_KEPT = 35, 400
#: 9999-01-01T00:00Z: what comes then has no name here.
END_MS = 253_370_764_800_000
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Period:
    """An hour such as `2026-11-20T12`, or a month such as `2026-11`; `start` and `end` in Unix seconds."""

    name: str
    month: str
    start: int
    end: int

    @property
    def expires(self) -> int:
        """Until when its sums are kept (Unix seconds)."""
        return self.end + (MONTHS_KEPT if self.name == self.month else HOURS_KEPT) * _DAY


@lru_cache(maxsize=4096)
def hour(number: int) -> Period:
    """The hour that begins `number` hours after the Unix epoch. Raises OverflowError beyond the year 9999."""
    moment = datetime.fromtimestamp(number * 3600, UTC)
    return Period(f"{moment:%Y-%m-%dT%H}", _name(moment), number * 3600, (number + 1) * 3600)


def month(name: str) -> Period:
    """The month called `name`. Raises InvalidInput if it is none."""
    if not isinstance(name, str) or not _MONTH.fullmatch(name) or not (1970 <= int(name[:4]) <= 9998):
        raise InvalidInput(f"{repr(name)[:40]} is no month: write it as 2026-11")
    return _month(name)


@lru_cache(maxsize=1024)
def _month(name: str) -> Period:
    first = datetime(int(name[:4]), int(name[5:]), 1, tzinfo=UTC)
    after = (first + timedelta(days=31)).replace(day=1)
    return Period(name, name, int(first.timestamp()), int(after.timestamp()))


def month_of(milliseconds: int) -> Period:
    """The month in which a moment (Unix ms) lies."""
    return month(_name(datetime.fromtimestamp(milliseconds / 1000, UTC)))


def hours_of(chosen: Period) -> Iterator[Period]:
    """The hours of a month."""
    return map(hour, range(chosen.start // 3600, chosen.end // 3600))


def _name(moment: datetime) -> str:
    return f"{moment.year:04}-{moment.month:02}"
