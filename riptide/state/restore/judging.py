"""Which records of usage can be counted at once, by the rules by which workers count."""

from collections.abc import Mapping, Sequence

from commands import RecordUsage
from riptide.config import Settings
from riptide.names import DEFAULT_TENANT
from riptide.state.checkpoints.sums import USAGE
from riptide.state.restore.since import Record
from riptide.streams.job import Job, parse_job
from riptide.streams.message import Entry, read
from riptide.tenants.usage.counting import AHEAD_MS
from riptide.tenants.usage.known import digest_of
from riptide.tenants.usage.periods import END_MS, HOUR_MS, month_of


class Judge:
    """`purged_ms` tells when a tenant was purged, by the digest of its id; `now_ms` is the server's time."""

    def __init__(self, settings: Settings, purged_ms: Mapping[str, int], now_ms: int) -> None:
        self._streams = settings.streams
        self._only_tenant = None if settings.tenant.enabled else DEFAULT_TENANT
        self._purged_ms, self.now_ms = purged_ms, now_ms

    def jobs(
        self, partition: str, records: Sequence[Record]
    ) -> tuple[list[tuple[Record, Job]], list[Record]]:
        """Those that can be counted, and those that workers have to judge. What a tenant did before it was
        purged is in neither."""
        counted: list[tuple[Record, Job]] = []
        others: list[Record] = []
        for record in records:
            entry = Entry(USAGE, partition, record.first, record.fields)
            try:
                job = parse_job(
                    entry, read(entry, self._streams.max_body_bytes), RecordUsage, self._only_tenant
                )
            except Exception:  # noqa: BLE001 - whatever a body holds, a worker knows what to say of it
                others.append(record)
                continue
            if self._was_purged(job):
                continue
            if self._fits(job):
                counted.append((record, job))
            else:
                others.append(record)
        return counted, others

    def _was_purged(self, job: Job) -> bool:
        first = int(job.message.first.partition("-")[0])
        purged = self._purged_ms.get(digest_of(job.message.tenant or DEFAULT_TENANT), 0)
        return min(job.message.at_ms, first) < purged

    def _fits(self, job: Job) -> bool:
        received = int(job.message.first.partition("-")[0])
        at = job.command.at
        moment = min(job.message.at_ms, received) if at is None else at
        if (job.message.due_ms or 0) > self.now_ms or moment > received + AHEAD_MS or moment >= END_MS:
            return False
        job.part = moment // HOUR_MS
        return month_of(moment).expires * 1000 > received
