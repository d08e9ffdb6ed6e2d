"""Counting usage, exactly once: the effect of `record_usage`.

What cannot be counted goes to the dead letters: `unknown-tenant` (there is no record of it), `future` (it
says that it was more than five minutes after the server took it), `too-old` (its month is not kept any more),
`out-of-range` (a sum would pass 2^53 - 1, the greatest number that is exact everywhere). What a tenant did
before it was purged is dropped, and counted as dropped.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from riptide.errors import Dead
from riptide.names import DEFAULT_TENANT
from riptide.store.keys import Keys
from riptide.store.operation import Arg, Flow, Operation
from riptide.store.script import Script
from riptide.streams.effect import Hold, Undone
from riptide.streams.job import Buried, HandedBack, Job, Outcome
from riptide.tenants.usage.known import KnownTenants, digest_of, home_of, homes_of
from riptide.tenants.usage.merging import METRICS, Sums, amounts_of, merge, names_of, received_ms
from riptide.tenants.usage.periods import END_MS, HOUR_MS, MONTHS_KEPT, Period, hour, month_of

_COUNT = Script.load("riptide.tenants.usage", "count.lua")
MOST = 2**53 - 1
#: What operations are counted by that are too many for a period to be named.
OTHERS = "(others)"
#: A producer's clock may be so far ahead of the server's.
AHEAD_MS = 5 * 60_000
_SURELY_KEPT_MS = MONTHS_KEPT * 86_400_000


@dataclass(slots=True)
class _Call:
    """What the script is told besides the entries. `places` are the tenant and the period of each key."""

    tenants: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    places: list[tuple[str, Period | None]] = field(default_factory=list)
    args: list[Arg] = field(default_factory=list)


class Counting:
    """One for a process: it remembers which tenants exist."""

    def __init__(self, keys: Keys, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._known = KnownTenants(keys, monotonic)

    def count(self, batch: Sequence[Job]) -> Flow[None]:
        """Leave on each job of `batch` what counts it, or let it fail."""
        homes = homes_of(batch)
        if strangers := self._known.unknown(homes):
            yield from self._known.learn(strangers)
        doubted = {home for home in homes if not self._known.exists(home) or self._known.purged_ms(home)}
        for job in batch:
            message, at = job.message, job.command.__dict__["at"]
            received = received_ms(job)
            # A publisher's clock that is ahead of the server's is not believed; what a record says, is.
            moment = min(message.at_ms, received) if at is None else at
            job.part = moment // HOUR_MS
            if doubted and (job.entry.partition, message.tenant) in doubted:
                self._judge(job, moment, received)
            elif received - _SURELY_KEPT_MS < moment <= received + AHEAD_MS and moment < END_MS:
                job.effect = self
            else:
                self._judge_time(job, moment, received)

    def _judge(self, job: Job, moment: int, received: int) -> None:
        """Of a tenant that has no record here, or was purged: what it did before is dropped."""
        home = home_of(job)
        if self._known.is_of_purged(job, home):
            job.effect = self
        elif self._known.exists(home):
            self._judge_time(job, moment, received)
        else:
            job.fail(Dead(f"there is no tenant {home[1]!r}", reason="unknown-tenant"))

    def _judge_time(self, job: Job, moment: int, received: int) -> None:
        if moment > received + AHEAD_MS or moment >= END_MS:
            text = f"it says that it was at {_shown(moment)}, but the server took it at {_shown(received)}"
            job.fail(Dead(text, reason="future"))
        elif month_of(moment).expires * 1000 <= received:
            job.fail(Dead(f"what was at {_shown(moment)} is not kept any more", reason="too-old"))
        else:
            job.effect = self

    # The effect

    def apply(self, hold: Hold, jobs: Sequence[Job]) -> Operation[int | Undone]:
        call = self._call(hold.partition, jobs)
        keys, results, args = hold.declare(jobs)
        keys.append(self._keys.gone(hold.partition))
        before = len(keys)

        def parse(reply: Any) -> int | Undone:
            if isinstance(reply, int):
                return reply
            what, *about = reply
            if what == b"ended":
                return Undone(jobs, {jobs[at - 1]: None for at in about})
            if what == b"purged":
                return Undone(jobs, self._changed(hold.partition, call.tenants[about[0] - 1], jobs))
            at, name, so_far = about
            tenant, period = call.places[at - 1 - before]
            assert period is not None
            return Undone(jobs, _beyond(jobs, tenant, period, name.decode(), int(so_far)))

        return _COUNT.call([*keys, *call.keys, *results], [*args, *call.args], parse)

    def _call(self, partition: str, jobs: Sequence[Job]) -> _Call:
        dropped = self._dropped(partition, jobs)
        merged = merge(job for job in jobs if job not in dropped) if dropped else merge(jobs)
        for tenant in dropped.values():
            merged.setdefault(tenant, {})
        call = _Call(list(merged))
        call.args.append(len(merged))
        late = list(dropped.values())
        for tenant, periods in merged.items():
            purged_ms = self._known.purged_ms((partition, tenant))
            call.args += (digest_of(tenant), purged_ms, late.count(tenant), len(periods))
            call.keys.append(self._keys.seals(partition, tenant))
            call.places.append((tenant, None))
            for period, sums in periods.items():
                call.keys.append(self._keys.usage(partition, tenant, period.name))
                call.places.append((tenant, period))
                call.args += (period.month, period.expires)
                call.args += _sums(sums)
        return call

    def _dropped(self, partition: str, jobs: Sequence[Job]) -> dict[Job, str]:
        """Records of purged tenants, with their tenants."""
        if not self._known.anybody_purged:
            return {}
        purged = {home[1] for home in homes_of(jobs) if self._known.purged_ms(home)}
        return {
            job: tenant
            for job in jobs
            if (tenant := job.message.tenant or DEFAULT_TENANT) in purged
            if self._known.is_of_purged(job, (partition, tenant))
        }

    def _changed(self, partition: str, tenant: str, jobs: Sequence[Job]) -> Mapping[Job, Outcome]:
        """The tenant was purged a moment ago: its records are looked at anew."""
        self._known.forget((partition, tenant))
        return {job: HandedBack(started=False) for job in jobs if job.message.tenant == tenant}


def _sums(sums: Sums) -> list[Arg]:
    args: list[Arg] = []
    for operation, amounts in sums.items():
        for name, amount in zip(names_of(operation), amounts, strict=True):
            if amount:
                args += (name, amount)
    return [len(args) // 2, *args]


def _beyond(
    jobs: Sequence[Job], tenant: str, period: Period, name: str, so_far: int
) -> Mapping[Job, Outcome]:
    """Of the records that make up one sum, those for which it has no room; `name` with its generation."""
    _, operation, metric = name.split("|")
    at = METRICS.index(metric)
    beyond: dict[Job, Outcome] = {}
    for job in jobs:
        if job.message.tenant != tenant or operation not in (job.command.operation, OTHERS):
            continue
        amount = amounts_of(job)[at]
        of_hour = hour(job.part)
        if amount and period.name in {of_hour.name, of_hour.month}:
            if so_far + amount > MOST:
                beyond[job] = Buried(
                    "out-of-range",
                    f"the sum of {metric} of {operation} in {period.name} is {so_far:,}: there is no room "
                    f"for {amount:,} more",
                )
            else:
                so_far += amount
    return beyond


def _shown(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(min(milliseconds, END_MS) / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
