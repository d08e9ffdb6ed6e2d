"""What came after a checkpoint and was counted, or never will be by a worker."""

from collections import Counter
from collections.abc import Mapping

from riptide.names import DEFAULT_TENANT
from riptide.state.archive.names import order
from riptide.state.checkpoints.sums import USAGE, Home
from riptide.state.replay.target import Target
from riptide.state.restore.judging import Judge
from riptide.state.restore.report import Report
from riptide.state.restore.since import Record, Since
from riptide.streams.job import Job
from riptide.tenants.usage.merging import Sums, merge, names_of
from riptide.tenants.usage.periods import Period


class Overtaken(Exception):
    """Workers were given some of it while it was looked at: whether they have counted it is not known."""


class Later:
    """Adds up records of usage; `report` hears how many."""

    def __init__(self, since: Since, target: Target, judge: Judge, report: Report) -> None:
        self._since, self._target, self._judge, self._report = since, target, judge, report

    def amounts(
        self, partition: str, stored: Mapping[str, Home], lives: Mapping[str, Home]
    ) -> dict[str, dict[str, Counter[str]]]:
        """What came after the checkpoint, of the tenants of a group, as far as the server has counted it or
        will never do so by itself. Raises Overtaken: the sums have to be read anew."""
        found: dict[str, dict[str, Counter[str]]] = {}
        dead = self._target.dead_sources(USAGE, partition)
        for records in self._since.records(partition):
            alive = [one for one in records if one.first not in dead and _is_new(stored, one)]
            jobs, _ = self._judge.jobs(partition, alive)
            counted = self._without_waiting(partition, jobs, lives)
            self._report.counted += len(counted)
            for tenant, by_period in merge(counted).items():
                _add(found.setdefault(tenant, {}), by_period)
        return found

    def _without_waiting(
        self, partition: str, jobs: list[tuple[Record, Job]], lives: Mapping[str, Home]
    ) -> list[Job]:
        """Without what a worker will still count, or is just about to."""
        counted: list[Job] = []
        doubtful: list[tuple[str, Job]] = []
        for record, job in jobs:
            cut = lives[tenant_of_job(job)].cut
            if record.first in cut.unfinished:
                continue
            if order(record.at) > order(cut.position):
                doubtful.append((record.at, job))
            else:
                counted.append(job)
        there = self._since.on_server(partition, [at for at, _ in doubtful])
        missing = [one for one, waits in zip(doubtful, there, strict=True) if not waits]
        if missing:
            # It was never here; or it waited, and has been counted and trimmed meanwhile.
            given = order(self._since.given(partition))
            if any(order(at) <= given for at, _ in missing):
                raise Overtaken
        return counted + [job for _, job in missing]


def tenant_of_job(job: Job) -> str:
    return job.message.tenant or DEFAULT_TENANT


def tenant_in(fields: list[bytes]) -> str | None:
    named = dict(zip(fields[::2], fields[1::2], strict=False)).get(b"tenant")
    return None if named is None else named.decode("utf-8", "replace")


def _is_new(stored: Mapping[str, Home], record: Record) -> bool:
    """Whether it is not in the checkpoint's sums."""
    home = stored.get(tenant_in(record.fields) or DEFAULT_TENANT)
    return home is not None and not home.cut.holds(record.first, record.at)


def _add(sums: dict[str, Counter[str]], by_period: Mapping[Period, Sums]) -> None:
    for period, operations in by_period.items():
        into = sums.setdefault(period.name, Counter())
        for operation, amounts in operations.items():
            into.update({n: a for n, a in zip(names_of(operation), amounts, strict=True) if a})
