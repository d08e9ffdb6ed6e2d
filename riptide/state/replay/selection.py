"""Which commands are meant: by time, by id, by type, by tenant."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from riptide.errors import InvalidInput
from riptide.state.archive.names import order
from riptide.streams.message import Ref

_SPAN = re.compile(r"([0-9]{1,6})(s|min|m|h|d|w)")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_ID = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")
_TYPE = re.compile(r"[a-z][a-z0-9_]{0,62}")
FIRST, LAST = "0-0", f"{2**64 - 1}-{2**64 - 1}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Commands whose first entry lies between two ids, both included.

    `types` and `tenants` are all if they are empty.
    """

    first: str = FIRST
    last: str = LAST
    types: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()

    def covers(self, source: Ref) -> bool:
        return self._everything or order(self.first) <= order(source.entry_id) <= order(self.last)

    def wants(self, tenant: str | None) -> bool:
        return not self.tenants or tenant in self.tenants

    @property
    def _everything(self) -> bool:
        return self.first == FIRST and self.last == LAST

    @property
    def before(self) -> str:
        """The greatest id that lies before all that are meant."""
        ms, seq = order(self.first)
        if seq:
            return f"{ms}-{seq - 1}"
        return f"{ms - 1}-{2**64 - 1}" if ms else FIRST


def select(
    *,
    since: str | None = None,
    until: str | None = None,
    ids: str | None = None,
    types: tuple[str, ...] = (),
    tenants: tuple[str, ...] = (),
    now: datetime | None = None,
) -> Selection:
    """What a person writes: times as `2026-11-20T12:00` (UTC) or as `90min` ago, ids as `A..B`.

    Raises InvalidInput.
    """
    first, last = _range(ids) if ids else (FIRST, LAST)
    moment = now or datetime.now(UTC)
    if since:
        first = max(first, f"{_ms(since, moment)}-0", key=order)
    if until:
        last = min(last, f"{_ms(until, moment)}-{2**64 - 1}", key=order)
    if order(first) > order(last):
        raise InvalidInput("nothing can be chosen: the range ends before it begins")
    for kind in types:
        if not _TYPE.fullmatch(kind):
            raise InvalidInput(f"{kind[:80]!r} is no type of command")
    return Selection(first, last, types, tenants)


def _range(text: str) -> tuple[str, str]:
    first, dots, last = text.partition("..")
    if not dots or any(part and not _ID.fullmatch(part) for part in (first, last)):
        raise InvalidInput(
            f"{text[:80]!r} is no range of ids: write A..B, as in 1763700000000-0..1763700009999"
        )
    return (
        first if "-" in first else f"{first or 0}-0",
        last if "-" in last else (f"{last}-{2**64 - 1}" if last else LAST),
    )


def _ms(text: str, now: datetime) -> int:
    span = _SPAN.fullmatch(text)
    try:
        if span:
            moment = now - timedelta(seconds=int(span[1]) * _UNITS[span[2]])
        else:
            moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{text[:80]!r} is no time: write 2026-11-20T12:00, which is UTC without a zone, "
            "or how long ago, as in 90min, 2h, 7d"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0, int(moment.timestamp() * 1000))
