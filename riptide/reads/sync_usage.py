"""`rt.usage`: what tenants used, synchronous."""

from riptide.reads.sync_flushing import Flushing
from riptide.store.sync import Store
from riptide.streams.message import Ref
from riptide.tenants.usage.flows import Moment, UsageFlows
from riptide.tenants.usage.reading import Counted, Usage


class UsageFace:
    """Months are named like `2026-11`, in UTC; without one it is the present month by this machine's clock.

    Reading raises InvalidInput, UnknownTenant, MultiTenancyDisabled, ServerUnavailable.
    """

    def __init__(self, store: Store, flows: UsageFlows, flushing: Flushing) -> None:
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

    def note(
        self,
        tenant: str,
        operation: str,
        *,
        operation_count: int = 1,
        data_bytes: int = 0,
        compute_ms: float = 0.0,
    ) -> bool:
        """Usage that is published within `api.usage_flush_seconds`, merged with what else is noted of the
        tenant, operation and hour; so nothing is sent here, and a process that is killed loses so much.

        False if the buffer is full, because the server has been away for long: then it is not counted.
        Milliseconds are rounded after they were summed up. Raises InvalidInput.
        """
        self._flushing.wake()
        return self._flows.buffer.note(tenant, operation, operation_count, data_bytes, compute_ms)

    def flush(self) -> None:
        """Publish what was noted now. Raises as `publish` does; then it waits on."""
        self._flushing.flush()

    @property
    def waiting(self) -> int:
        """Sums of what was noted that have not been published yet."""
        return self._flows.buffer.waiting

    @property
    def refused(self) -> int:
        """Notes that found the buffer full."""
        return self._flows.buffer.refused

    @property
    def lost(self) -> int:
        """Sums of which it never became known whether they were published, for half of
        `streams.lane_ttl_seconds`."""
        return self._flows.buffer.lost
