"""`rt.usage`: what tenants used, synchronous."""

from riptide.reads.noting import Noting
from riptide.reads.sync_flushing import Flushing
from riptide.store.sync import Store
from riptide.streams.message import Ref
from riptide.tenants.usage.flows import Moment, UsageFlows
from riptide.tenants.usage.reading import Counted, Usage


class UsageFace(Noting):
    """Months are named like `2026-11`, in UTC; without one it is the present month by this machine's clock.

    Reading raises InvalidInput, UnknownTenant, MultiTenancyDisabled, ServerUnavailable.
    """

    def __init__(self, store: Store, flows: UsageFlows, flushing: Flushing) -> None:
        super().__init__(flows.buffer, flushing.wake)
        self._store, self._flows, self._flushing = store, flows, flushing

    def show(self, tenant: str, month: str | None = None) -> Usage:
        """What `tenant` used in a month, as far as it has been counted: records that still wait in their
        streams are not in it."""
        return self._store.drive(self._flows.show(tenant, month))

    def hours(self, tenant: str, month: str | None = None) -> dict[str, Counted]:
        """The same by hour, like `2026-11-20T12`, in order; hours are kept for 35 days."""
        return self._store.drive(self._flows.hours(tenant, month))

    def record(
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
        """Publish a `record_usage`, which workers count exactly once.

        `at` is when it was done (Unix ms, or a datetime with a time zone), by default now; with an
        idempotency `key` a second call changes nothing. Raises InvalidInput, and as `publish` does.
        """
        fields = {
            "operation": operation,
            "operation_count": operation_count,
            "data_bytes": data_bytes,
            "compute_ms": compute_ms,
            "storage_bytes": storage_bytes,
            "at": at,
        }
        return self._store.drive(self._flows.record(tenant, fields, key))

    def flush(self) -> None:
        """Publish what was noted now. Raises as `publish` does; then it waits on."""
        self._flushing.flush()
