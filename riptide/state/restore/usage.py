"""Puts usage right, tenant by tenant, in an empty server as in a living one: to the unit, and while it is
counted.

For each tenant in each partition: what the checkpoint had counted, and every command since that was not in
that sum. Then the server's own sums are read, with the cut that tells which of these commands are in them, or
will still come to them by a worker; what is missing is added, if no other restore has done so meanwhile. Done
again, there is nothing to add.
"""

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from riptide.config import Settings
from riptide.state.archive.names import order
from riptide.state.checkpoints.rows import USAGE_SUMS, Rows
from riptide.state.checkpoints.sums import USAGE, Cut, Home, read_home_rows, read_homes
from riptide.state.replay.commands import Found
from riptide.state.replay.target import Target
from riptide.state.restore.correcting import Correction, correction, kept_until
from riptide.state.restore.judging import Judge
from riptide.state.restore.later import Later, Overtaken, tenant_in, tenant_of_job
from riptide.state.restore.report import Report
from riptide.state.restore.since import Record, Since
from riptide.state.restore.tenants import Tenants
from riptide.store.keys import GROUP, PARTITIONS, Keys
from riptide.store.operation import Arg, Operation
from riptide.store.script import Script
from riptide.store.sync import Store
from riptide.streams.job import Job
from riptide.streams.message import Ref
from riptide.tenants.usage.known import digest_of
from riptide.tenants.usage.periods import hour, month

_CORRECT = Script.load("riptide.state", "correct_usage.lua")
_NOTE = Script.load("riptide.state", "note_counted.lua")
#: Hashes of a group of tenants, whose sums are in memory together.
_GROUP_KEYS = 20_000
_PERIODS_PER_CALL = 100
_KEYS_PER_READ = 500


@dataclass(slots=True)
class _Group:
    """Tenants of one partition that are put right together. `stored` is what the checkpoint says."""

    partition: str
    stored: dict[str, Home] = field(default_factory=dict)
    size: int = 0

    def add(self, home: Home) -> None:
        self.stored[home.tenant] = home
        self.size += 1 + len(home.sums)


class UsageRestore:
    """`starts` are the cuts with which the checkpoint begins."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        target: Target,
        tenants: Tenants,
        since: Since,
        starts: Mapping[str, Cut],
        judge: Judge,
        report: Report,
        step: Callable[[], None],
    ) -> None:
        self._store, self._target, self._tenants = store, target, tenants
        self._since, self._starts, self._judge = since, starts, judge
        self._report, self._step = report, step
        self._later = Later(since, target, judge, report)
        self._keys = Keys(settings.cache.key_prefix)
        self._token = secrets.token_hex(8)

    def run(self, rows: Rows) -> None:
        """Partition by partition, as the checkpoint has them."""
        homes = read_home_rows(rows(USAGE_SUMS))
        home = next(homes, None)
        for partition in PARTITIONS:
            periods = self._periods(partition)
            left, done = set(periods), set(periods)
            group, furthest = _Group(partition), "0-0"
            while home is not None and home.partition == partition:
                if self._tenants.incarnation(home.tenant) is not None:
                    group.add(home)
                    furthest = max(furthest, home.cut.position, key=order)
                    left.discard(home.tenant)
                    done.add(home.tenant)
                if group.size >= _GROUP_KEYS:
                    self._put_right(group, periods)
                    group = _Group(partition)
                home = next(homes, None)
            start = self._starts[partition]
            for tenant in sorted(left):
                group.add(Home(partition, tenant, start))
            self._put_right(group, periods)
            self._note(partition, done, furthest)
            self._step()

    def _note(self, partition: str, tenants: Collection[str], furthest: str) -> None:
        """From now on what the archive held is in the sums, though this server has never had it in a
        stream. `furthest` is the last cut that the checkpoint made in this partition."""
        position = max(self._since.reached[partition], self._starts[partition].position, key=order)
        self._report.positions[partition] = position
        if order(furthest) > order(position):
            self._report.beyond[partition] = furthest
        if self._report.dry_run:
            return
        names = [self._keys.counted(partition), self._keys.commands(USAGE, partition)]
        fields = [USAGE] if self._tenants.everybody else [f"{USAGE}:{digest_of(one)}" for one in tenants]
        self._store.run_all([_NOTE.call(names, [one, position, GROUP], int) for one in fields])

    def _periods(self, partition: str) -> dict[str, set[str]]:
        """Tenant -> the periods of what may have to be added. What cannot be counted at once is sent to the
        workers."""
        found: dict[str, set[str]] = {}
        for records in self._since.records(partition):
            jobs, others = self._judge.jobs(partition, records)
            self._tenants.learn({tenant_of_job(job) for _, job in jobs})
            for record, job in jobs:
                whose = self._tenants.home_of(tenant_of_job(job))
                if whose == "restored":
                    found.setdefault(tenant_of_job(job), set()).update(_periods_of(job))
                elif whose == "nobody":
                    others.append(record)
            self._send(partition, others)
        return found

    def _send(self, partition: str, records: list[Record]) -> None:
        """Where the server knows nothing of them."""
        start = self._starts[partition]
        commands = [
            Found(Ref(USAGE, partition, one.first), None, tenant_in(one.fields), one.fields)
            for one in records
            if not start.holds(one.first, one.at) and self._tenants.is_chosen(tenant_in(one.fields) or "")
        ]
        if not commands:
            return
        states = self._target.states(USAGE, partition, [one.source.entry_id for one in commands])
        lost = [one for one, state in zip(commands, states, strict=True) if state == "unknown"]
        self._report.commands += (
            len(lost) if self._report.dry_run else sum(self._target.send(USAGE, partition, lost))
        )

    def _put_right(self, group: _Group, periods: Mapping[str, Collection[str]]) -> None:
        """One that another restore, a seal or a worker came in between of is read anew."""
        while group.stored:
            lives, counted = self._read(group, periods), self._report.counted
            try:
                later = self._later.amounts(group.partition, group.stored, lives)
            except Overtaken:
                self._report.counted = counted
                continue
            again: dict[str, Home] = {}
            for tenant, live in lives.items():
                found = correction(
                    group.stored[tenant], later.get(tenant, {}), live, self._judge.now_ms / 1000
                )
                if found.is_needed and not self._correct(live, found):
                    again[tenant] = group.stored[tenant]
            group.stored = again

    def _read(self, group: _Group, periods: Mapping[str, Collection[str]]) -> dict[str, Home]:
        lives: dict[str, Home] = {}
        some: dict[str, list[str]] = {}
        operations: list[Operation[list[Home]]] = []
        size = 0
        for tenant, home in group.stored.items():
            some[tenant] = sorted({*home.sums, *periods.get(tenant, ())})
            size += 1 + len(some[tenant])
            if size >= _KEYS_PER_READ:
                operations.append(read_homes(self._keys, group.partition, some))
                some, size = {}, 0
        if some:
            operations.append(read_homes(self._keys, group.partition, some))
        for homes in self._store.run_all(operations):
            lives |= {home.tenant: home for home in homes}
        return lives

    def _correct(self, live: Home, found: Correction) -> bool:
        """False if it has to be read anew."""
        self._report.corrected += 1
        if self._report.dry_run:
            return True
        last, periods = live.last, sorted(found.sums)
        for number in range(0, max(1, len(periods)), _PERIODS_PER_CALL):
            step = f"{self._token}.{live.partition}.{number}"
            some = periods[number : number + _PERIODS_PER_CALL]
            done = self._store.run(self._step_of(live, found, some, step, last))
            if done == 0:
                self._report.corrected -= 1
                return False
            if done < 0:
                return True  # purged meanwhile
            last = step
            found.seals = {month_name: (wanted, wanted) for month_name, (_, wanted) in found.seals.items()}
        return True

    def _step_of(
        self, live: Home, found: Correction, periods: list[str], step: str, last: str
    ) -> Operation[int]:
        tenant, partition = live.tenant, live.partition
        names = [
            self._keys.gone(partition),
            self._keys.restored(partition),
            self._keys.seals(partition, tenant),
            *(self._keys.usage(partition, tenant, period) for period in periods),
        ]
        args: list[Arg] = [digest_of(tenant), self._tenants.incarnation(tenant) or "", step, last]
        args.append(len(found.seals))
        for month_name, (seen, wanted) in found.seals.items():
            args += (month_name, seen, wanted, month(month_name).expires)
        for period in periods:
            fields = found.sums[period]
            args += (kept_until(period), len(fields), *(part for pair in fields.items() for part in pair))
        return _CORRECT.call(names, args, int)


def _periods_of(job: Job) -> tuple[str, str]:
    period = hour(job.part)
    return period.name, period.month
