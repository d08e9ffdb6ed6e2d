"""`rt.quotas`: what tenants may use, asynchronous."""

import asyncio
from collections.abc import Callable, Mapping

from riptide.clock import Clock, SystemClock
from riptide.reads.noting import Charging
from riptide.store.aio import AsyncStore
from riptide.tenants.quotas.charges import Charges
from riptide.tenants.quotas.decision import Decision
from riptide.tenants.quotas.purse import Purse
from riptide.tenants.quotas.quotas import Quota, Quotas


class AsyncLease:
    """Methods mean what those of `Lease` mean. Belongs to one event loop."""

    def __init__(self, store: AsyncStore, quotas: Quotas, tenant: str, resource: str, clock: Clock) -> None:
        quotas.check_leased(tenant, resource)
        self._store, self._quotas, self._tenant, self._resource = store, quotas, tenant, resource
        self._purse, self._lock = Purse(resource, clock.monotonic), asyncio.Lock()

    def known(self, amount: int = 1) -> Decision | None:
        return self._purse.spend(amount)

    async def take(self, amount: int = 1) -> Decision:
        known = self._purse.spend(amount)
        return await self._ask(amount) if known is None else known

    async def _ask(self, amount: int) -> Decision:
        async with self._lock:
            known = self._purse.spend(amount)  # another task may have asked meanwhile
            if known is not None:
                return known
            wanted, missed, now = self._purse.want(amount)
            grant = self._quotas.grant(self._tenant, self._resource, amount, wanted, missed)
            return self._purse.fill(await self._store.drive(grant), amount, now)


class AsyncQuotasFace(Charging):
    """Methods mean what those of `QuotasFace` mean."""

    def __init__(
        self,
        store: AsyncStore,
        quotas: Quotas,
        clock: Clock | None = None,
        charges: Charges | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(charges, wake)
        self._store, self._clock = store, clock or SystemClock()
        self.flows = quotas

    async def check(self, tenant: str, amounts: Mapping[str, int]) -> Decision:
        return await self._store.drive(self.flows.check(tenant, amounts))

    def lease(self, tenant: str, resource: str = "operations_per_minute") -> AsyncLease:
        return AsyncLease(self._store, self.flows, tenant, resource, self._clock)

    async def show(self, tenant: str) -> list[Quota]:
        return await self._store.drive(self.flows.show(tenant))
