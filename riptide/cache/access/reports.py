"""Reports what this process has counted: a `record_access` for each tenant, every few seconds and at the end.

What was reported is counted once: a publish whose answer was lost is repeated as it was, and what was not
published goes with the next report.
"""

import os
import secrets
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from commands import RecordAccess
from riptide.cache.access.living import living
from riptide.cache.access.tally import Tally
from riptide.cache.core import Core
from riptide.cache.popularity.reports import KeyReports
from riptide.cache.stats import COUNTED
from riptide.errors import PublishUnknown, RiptideError
from riptide.logger import get_logger
from riptide.store.operation import Flow
from riptide.streams.publishing import Outgoing, Publisher

_log = get_logger("riptide.cache")
#: Between two reports; longer where a process reads for so many tenants that it would publish more than that.
REPORT_SECONDS = 5.0
_PER_SECOND = 50
_TOGETHER = 500

_Due = tuple[Tally, list[int]]


@lru_cache(maxsize=1)
def _name_of(_pid: int) -> str:
    return secrets.token_hex(8)


def process_name() -> str:
    """What tells this process from others; a forked child has its own."""
    return _name_of(os.getpid())


class Reports:
    """Those of one client."""

    def __init__(self, core: Core, publisher: Publisher) -> None:
        self._core, self._publisher = core, publisher
        self._keys = KeyReports(core, publisher)
        self._unknown: PublishUnknown | None = None
        self._unknown_since = 0.0
        self._process = os.getpid()
        #: Whether the last one could not be sent.
        self.failing = False

    def send(self, *, last: bool = False) -> Flow[float]:
        """Report what has not been; answers the seconds until it should be called again. A failure is
        logged, the first of a row. The `last` time tells all."""
        try:
            number = yield from self._send(last=last)
        except Exception as error:  # noqa: BLE001 - nobody waits for it, and the next one tells the rest
            if not self.failing:
                trace = None if isinstance(error, RiptideError) else error
                _log.warning("cache_report_failed", error=str(error), exc_info=trace)
            self.failing = True
            return REPORT_SECONDS
        self.failing = False
        return max(REPORT_SECONDS, number / _PER_SECOND)

    def _send(self, *, last: bool) -> Flow[int]:
        yield from self._repeat()
        full = self._core.tallies.full
        due = [(tally, counts) for tally in self._core.tallies if (counts := tally.unreported())]
        for start in range(0, len(due), _TOGETHER):
            yield from self._publish(due[start : start + _TOGETHER])
        number = yield from self._keys.send(last=last or full)
        if full:
            self._core.start_over()
        return len(due) + number

    def _repeat(self) -> Flow[None]:
        """Settle whether the last report was published."""
        if self._process != os.getpid():
            self._process, self._unknown = os.getpid(), None
        if self._unknown is None:
            return
        if self._core.clock.monotonic() - self._unknown_since < self._publisher.repeats_seconds:
            yield from self._publisher.publish_again(self._unknown)
        self._unknown = None  # after that it might be counted twice: rather not at all

    def _publish(self, due: Sequence[_Due]) -> Flow[None]:
        lives = yield from living(self._core.keys, [tally for tally, _ in due])
        for tally, counts in due:  # what nobody is told of is gone with its tenant
            tally.report(counts)
        told = [one for one, lives_on in zip(due, lives, strict=True) if lives_on]
        outgoing = [Outgoing(_command(counts), tally.tenant) for tally, counts in told]
        try:
            if outgoing:
                yield from self._publisher.publish_many(outgoing)
        except PublishUnknown as error:
            self._unknown, self._unknown_since = error, self._core.clock.monotonic()
            raise
        except RiptideError:
            for tally, counts in told:
                tally.take_back(counts)
            raise


def _command(counts: Sequence[int]) -> RecordAccess:
    given: dict[str, Any] = {name: count for name, count in zip(COUNTED, counts, strict=True) if count}
    return RecordAccess(process=process_name(), **given)
