"""Usage that waits in this process: merged by tenant, operation and hour, and published every moment.

Each note is published once: a publish whose answer was lost is repeated as it was, and what was not published
waits for the next one. There is room for so many sums; what finds none is refused, and how often is counted.
"""

import threading
from collections.abc import Iterator
from itertools import islice

from pydantic import ValidationError

from commands import RecordUsage
from commands._fields import MAX_AMOUNT
from riptide.clock import Clock
from riptide.config import ApiSettings
from riptide.errors import InvalidInput, PublishUnknown, RiptideError
from riptide.logger import get_logger
from riptide.metrics.instruments import USAGE_DROPPED
from riptide.store.operation import Flow
from riptide.streams.publishing import Outgoing, Publisher, checked_tenant

_log = get_logger("riptide.usage")
_HOUR_MS = 3_600_000
_TOGETHER = 2_000

#: Tenant, operation, and hour since 1970.
_Key = tuple[str, str, int]


class _Sum:
    __slots__ = ("compute_ms", "data_bytes", "operations", "since_ms")

    def __init__(self, since_ms: int) -> None:
        self.since_ms = since_ms
        self.operations = self.data_bytes = 0
        self.compute_ms = 0.0


class UsageBuffer:
    """Of one client. Safe to share between threads."""

    def __init__(self, settings: ApiSettings, publisher: Publisher, clock: Clock) -> None:
        self._settings, self._publisher, self._clock = settings, publisher, clock
        #: Notes that found no room, and sums of which it never became known whether they were published.
        self.refused = self.lost = 0
        self.drop()

    def drop(self) -> None:
        """Hold nothing: what a forked child inherits is its parent's to publish."""
        self._lock = threading.Lock()
        self._sums: dict[_Key, _Sum] = {}
        self._under_way = 0
        self._unknown: PublishUnknown | None = None
        self._unknown_since = 0.0

    @property
    def waiting(self) -> int:
        """Sums that wait, or are on their way."""
        return len(self._sums) + self._under_way

    def note(self, tenant: str, operation: str, operations: int, data_bytes: int, compute_ms: float) -> bool:
        """False if there is no room. Raises InvalidInput."""
        if type(operations) is not int or type(data_bytes) is not int or min(operations, data_bytes) < 0:
            raise InvalidInput("operation_count and data_bytes are whole numbers from 0")
        if not compute_ms >= 0:
            raise InvalidInput("compute_ms is a number from 0")
        now = self._clock.now_ms()
        key = (tenant, operation, now // _HOUR_MS)
        with self._lock:
            found = self._sums.get(key) or self._begin(key, now)
            if found is None:
                return False
            found.operations += operations
            found.data_bytes += data_bytes
            found.compute_ms += compute_ms
        return True

    def _begin(self, key: _Key, now_ms: int) -> _Sum | None:
        tenant, operation, _ = key
        checked_tenant(tenant)
        try:
            RecordUsage(operation=operation)
        except ValidationError:
            raise InvalidInput(
                f"operation {repr(operation)[:80]} is not valid: up to 128 letters, digits and _ . : / -, "
                "the first a letter or digit"
            ) from None
        if self.waiting >= self._settings.usage_max_waiting:
            if not self.refused:
                _log.error("usage_refused", waiting=self.waiting, setting="api.usage_max_waiting")
            self.refused += 1
            USAGE_DROPPED.add("refused")
            return None
        made = self._sums[key] = _Sum(now_ms)
        return made

    def flush(self) -> Flow[None]:
        """Publish what waits. Raises as publishing does, and then it waits on."""
        yield from self._repeat()
        for _ in range(0, len(self._sums), _TOGETHER):
            yield from self._publish(self._take())

    def _repeat(self) -> Flow[None]:
        """Settle whether what was sent last was published."""
        if self._unknown is None:
            return
        if self._clock.monotonic() - self._unknown_since < self._publisher.repeats_seconds:
            yield from self._publisher.publish_again(self._unknown)
        else:  # now it might be counted twice: rather not at all
            self.lost += self._under_way
            USAGE_DROPPED.add("lost", by=self._under_way)
            _log.error("usage_lost", sums=self._under_way, why="for long no answer came to its publishing")
        self._unknown, self._under_way = None, 0

    def _take(self) -> dict[_Key, _Sum]:
        with self._lock:
            taken = {key: self._sums.pop(key) for key in list(islice(self._sums, _TOGETHER))}
            self._under_way = len(taken)
            return taken

    def _publish(self, taken: dict[_Key, _Sum]) -> Flow[None]:
        hour = self._clock.now_ms() // _HOUR_MS
        outgoing = [
            Outgoing(record, key[0])
            for key, found in taken.items()
            for record in _records(key[1], found, late=key[2] != hour)
        ]
        try:
            if outgoing:
                yield from self._publisher.publish_many(outgoing)
        except PublishUnknown as error:
            self._unknown, self._unknown_since = error, self._clock.monotonic()
            raise
        except RiptideError:
            self._put_back(taken)
            raise
        self._under_way = 0

    def _put_back(self, taken: dict[_Key, _Sum]) -> None:
        with self._lock:
            for key, found in taken.items():
                later = self._sums.get(key)
                if later is not None:
                    found.operations += later.operations
                    found.data_bytes += later.data_bytes
                    found.compute_ms += later.compute_ms
                self._sums[key] = found
            self._under_way = 0


def _records(operation: str, found: _Sum, *, late: bool) -> Iterator[RecordUsage]:
    """Usually one; several of what is more than a record can tell. One of an earlier hour tells when it was:
    a record says nothing of it else, so that the clock of this machine matters less."""
    rest = {
        "operation_count": found.operations,
        "data_bytes": found.data_bytes,
        "compute_ms": round(found.compute_ms),
    }
    while any(rest.values()):
        part = {name: min(amount, MAX_AMOUNT) for name, amount in rest.items()}
        rest = {name: amount - part[name] for name, amount in rest.items()}
        told = {name: amount for name, amount in part.items() if amount or name == "operation_count"}
        yield RecordUsage(operation=operation, at=found.since_ms if late else None, **told)
