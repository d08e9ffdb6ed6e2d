"""Asks the server for all figures. Tenants are told of one by one only if they are among the largest, or near
a limit: what a scrape returns does not grow with their number."""

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from riptide.config import Settings
from riptide.errors import InvalidInput, UnknownTenant
from riptide.names import DEFAULT_TENANT
from riptide.reads.metrics.figures import ArchiveFigures, Figures, StreamFigures, TenantFigures
from riptide.reads.metrics.standing import Standing, standings
from riptide.state.archive.status import type_archives
from riptide.store.keys import Keys
from riptide.store.operation import Flow
from riptide.streams.overview import overview
from riptide.tenants.billing.billing import Billing
from riptide.tenants.plans import MICROS
from riptide.tenants.usage.periods import month_of
from riptide.tenants.usage.reading import read_month

#: From that share of a limit on a tenant is told of, however small it is.
NEAR = 0.8


class Asking:
    """`kinds` are the types of commands."""

    def __init__(self, keys: Keys, settings: Settings, kinds: Sequence[str], billing: Billing) -> None:
        self._keys, self._settings, self._kinds, self._billing = keys, settings, kinds, billing

    def ask(self, now_ms: int, before: Figures | None, stopped: Callable[[], bool]) -> Flow[Figures]:
        """All figures. What bills come to is taken from `before` until it is time to compute it anew. Raises
        Stopped, ServerUnavailable."""
        streams = yield from overview(self._keys, self._kinds)
        archives = yield from type_archives(self._keys, self._archived())
        found = yield from standings(self._keys, self._settings, now_ms, stopped)
        largest = _largest(found, self._settings.performance.metrics_tenants)
        own = {one.facts.tenant for one in largest}
        near = [one for one in found if _is_near(one) and one.facts.tenant not in own]
        tenants = yield from self._used(largest, now_ms)
        billed_ms, tenants = yield from self._billed(tenants, now_ms, before)
        hits, reads = sum(one.hits for one in found), sum(one.hits + one.misses for one in found)
        return Figures(
            at_ms=now_ms,
            billed_ms=billed_ms,
            memory_bytes=sum(one.used["memory_bytes"] for one in found),
            sessions=sum(one.used["active_sessions"] for one in found),
            hit_rate=hits / reads if reads else None,
            streams=[
                StreamFigures(one.kind, one.lag, one.pending, one.oldest_seconds, one.dead) for one in streams
            ],
            archives=[ArchiveFigures(one.kind, one.lag, one.oldest_seconds) for one in archives],
            tenants=[*tenants, *map(_figures, near)],
        )

    def _archived(self) -> Sequence[str]:
        streams = self._settings.streams
        return streams.archive_types if streams.archive else ()

    def _used(self, largest: Iterable[Standing], now_ms: int) -> Flow[list[TenantFigures]]:
        found = []
        for one in largest:
            sums = yield from read_month(self._keys, one.facts.tenant, month_of(now_ms).name)
            total = sums.all.total
            found.append(replace(_figures(one), operations=total.operations, transferred=total.data_bytes))
        return found

    def _billed(
        self, tenants: Sequence[TenantFigures], now_ms: int, before: Figures | None
    ) -> Flow[tuple[int, list[TenantFigures]]]:
        if not self._settings.tenant.enable_billing:
            return 0, list(tenants)
        known = {} if before is None else {one.tenant: one.billing for one in before.tenants}
        due_ms = self._settings.tenant.billing_interval_seconds * 1000
        if before is None or now_ms - before.billed_ms >= due_ms:
            known, billed_ms = {}, now_ms
        else:
            billed_ms = before.billed_ms
        found = []
        for one in tenants:
            units = known.get(one.tenant)
            if units is None and one.tenant != DEFAULT_TENANT:
                units = yield from self._estimate(one.tenant)
            found.append(replace(one, billing=units))
        return billed_ms, found

    def _estimate(self, tenant: str) -> Flow[float | None]:
        try:
            invoice = yield from self._billing.estimate(tenant, None)
        except (InvalidInput, UnknownTenant):  # it is gone, or its plan is
            return None
        return invoice.total_micros / MICROS


def _figures(one: Standing) -> TenantFigures:
    used = one.used
    return TenantFigures(one.facts.tenant, used["memory_bytes"], used["active_sessions"], dict(one.usage))


def _is_near(one: Standing) -> bool:
    return max(one.usage.values(), default=0.0) >= NEAR


def _largest(found: Sequence[Standing], most: int) -> list[Standing]:
    """By their share of all memory and of all operations of this minute."""
    memory = sum(one.used["memory_bytes"] for one in found) or 1
    operations = sum(one.used["operations_per_minute"] for one in found) or 1

    def weight(one: Standing) -> float:
        return one.used["memory_bytes"] / memory + one.used["operations_per_minute"] / operations

    return heapq.nlargest(most, found, key=weight)
