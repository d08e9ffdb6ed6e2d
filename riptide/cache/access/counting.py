"""Sums reports up, exactly once: the effect of `record_access`. Which keys were read goes with it.

Reports of tenants that are not there, or that were purged after the report was made, are dropped.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from riptide.cache.popularity.merging import HALF_LIFE_SECONDS, Asked
from riptide.cache.stats import COUNTED
from riptide.config import CacheSettings, TenantSettings
from riptide.store.keys import Keys
from riptide.store.operation import Arg, Flow, Operation, ask_all
from riptide.store.script import Script
from riptide.streams.effect import Hold, Undone
from riptide.streams.job import HandedBack, Job, Outcome
from riptide.tenants.accounts.unrecorded import is_met
from riptide.tenants.usage.known import Home, KnownTenants, digest_of, home_of, homes_of

_COUNT = Script.load("riptide.cache", "count_access.lua")
_counts = itemgetter(*COUNTED)
#: That one call of the script takes, about: it keeps the server for some 3 us each.
_KEYS_PER_CALL = 1_000


@dataclass(slots=True)
class _Told:
    """What several reports tell of one tenant: sums by Unix minute, when each process told last (s), and
    which keys were read."""

    minutes: dict[int, list[int]] = field(default_factory=dict)
    processes: dict[str, int] = field(default_factory=dict)
    asked: Asked = field(default_factory=Asked)

    def add(self, job: Job) -> None:
        told = job.command.__dict__
        # When the server took the report. Clocks of processes differ.
        second = int(job.message.first.partition("-")[0]) // 1000
        sums = self.minutes.setdefault(second // 60, [0] * len(COUNTED))
        for at, count in enumerate(_counts(told)):
            sums[at] += count
        if (process := told["process"]) is not None:
            self.processes[process] = max(second, self.processes.get(process, 0))
        self.asked.add(second, job.command)

    def arguments(self) -> list[Arg]:
        args: list[Arg] = [len(self.minutes)]
        for minute, sums in self.minutes.items():
            args += (minute, *sums)
        args.append(len(self.processes))
        for process, second in self.processes.items():
            args += (second, process)
        return [*args, *self.asked.arguments()]


class AccessCounting:
    """One for a process: it remembers which tenants exist."""

    def __init__(
        self,
        keys: Keys,
        tenants: TenantSettings,
        cache: CacheSettings,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys, self._most_keys = keys, cache.popular_keys
        self._known = KnownTenants(keys, monotonic)
        self._recorded_only = tenants.isolation_level != "logical"

    def count(self, batch: Sequence[Job]) -> Flow[None]:
        """Leave on each job of `batch` what sums it up, unless it is dropped."""
        homes = homes_of(batch)
        if strangers := self._known.unknown(homes):
            yield from self._known.learn(strangers)
        there = {home for home in homes if self._known.exists(home)}
        there |= yield from self._met(homes - there)
        portion, size = _Portion(self), 0
        for job in batch:
            home = home_of(job)
            if home in there and not self._known.is_of_purged(job, home):
                if size > _KEYS_PER_CALL:
                    portion, size = _Portion(self), 0
                size += len(job.command.keys) + len(job.command.load_us)
                job.effect = portion

    def _met(self, homes: Iterable[Home]) -> Flow[set[Home]]:
        """Those that hold entries without a record."""
        asked = [] if self._recorded_only else list(homes)
        answers = (yield from ask_all([is_met(self._keys, tenant) for _, tenant in asked])) if asked else []
        return {home for home, met in zip(asked, answers, strict=True) if met}

    # The effect

    def apply(self, hold: Hold, jobs: Sequence[Job]) -> Operation[int | Undone]:
        merged: dict[str, _Told] = {}
        for job in jobs:
            merged.setdefault(home_of(job)[1], _Told()).add(job)
        tenants = list(merged)
        keys, results, args = hold.declare(jobs)
        keys.append(self._keys.gone(hold.partition))
        args += (len(COUNTED), *COUNTED, len(merged))
        for tenant, told in merged.items():
            keys += (
                self._keys.access(hold.partition, tenant),
                self._keys.access_processes(hold.partition, tenant),
                self._keys.popular(hold.partition, tenant),
                self._keys.load_times(hold.partition, tenant),
            )
            args += (digest_of(tenant), self._known.purged_ms((hold.partition, tenant)))
            args += told.arguments()
        args += (HALF_LIFE_SECONDS, self._most_keys)

        def parse(reply: Any) -> int | Undone:
            if isinstance(reply, int):
                return reply
            what, *about = reply
            if what == b"ended":
                return Undone(jobs, {jobs[at - 1]: None for at in about})
            return Undone(jobs, self._changed((hold.partition, tenants[about[0] - 1]), jobs))

        return _COUNT.call([*keys, *results], args, parse)

    def _changed(self, home: Home, jobs: Sequence[Job]) -> Mapping[Job, Outcome]:
        """The tenant was purged a moment ago: its reports are looked at anew."""
        self._known.forget(home)
        return {job: HandedBack(started=False) for job in jobs if home_of(job) == home}


@dataclass(frozen=True, slots=True, eq=False)
class _Portion:
    """As many jobs as one call of the script may be given."""

    counting: AccessCounting

    def apply(self, hold: Hold, jobs: Sequence[Job]) -> Operation[int | Undone]:
        return self.counting.apply(hold, jobs)
