"""`rt.usage`: what tenants used, asynchronous."""

from riptide.reads.aio_flushing import AsyncFlushing
from riptide.reads.noting import Noting
from riptide.store.aio import AsyncStore
from riptide.streams.message import Ref
from riptide.tenants.usage.flows import Moment, UsageFlows
from riptide.tenants.usage.reading import Counted, Usage


class AsyncUsageFace(Noting):
    """Methods mean what those of `UsageFace` mean."""

    def __init__(self, store: AsyncStore, flows: UsageFlows, flushing: AsyncFlushing) -> None:
        super().__init__(flows.buffer, flushing.wake)
        self._store, self._flows, self._flushing = store, flows, flushing

    async def show(self, tenant: str, month: str | None = None) -> Usage:
        return await self._store.drive(self._flows.show(tenant, month))

    async def hours(self, tenant: str, month: str | None = None) -> dict[str, Counted]:
        return await self._store.drive(self._flows.hours(tenant, month))

    async def record(
        self,
        tenant: str,
        operation: str,
        *,
        operation_count: int = 1,
        data_bytes: int = 0,
        compute_ms: int = 0,
        storage_bytes: int = 0,
        at: Moment | None = None,
        key: str | None = None,
    ) -> Ref:
        fields = {
            "operation": operation,
            "operation_count": operation_count,
            "data_bytes": data_bytes,
            "compute_ms": compute_ms,
            "storage_bytes": storage_bytes,
            "at": at,
        }
        return await self._store.drive(self._flows.record(tenant, fields, key))

    async def flush(self) -> None:
        await self._flushing.flush()
