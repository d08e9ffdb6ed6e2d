"""What both faces of `rt.usage` and `rt.quotas` have alike: what is noted waits in this process, and nobody
waits for it. `wake` begins to send it."""

from collections.abc import Callable

from riptide.tenants.quotas.charges import Charges
from riptide.tenants.quotas.decision import Decision
from riptide.tenants.usage.buffer import UsageBuffer


class Noting:
    """Of `rt.usage`."""

    def __init__(self, buffer: UsageBuffer, wake: Callable[[], None]) -> None:
        self._buffer, self._wake = buffer, wake

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
        self._wake()
        return self._buffer.note(tenant, operation, operation_count, data_bytes, compute_ms)

    @property
    def waiting(self) -> int:
        """Sums of what was noted that have not been published yet."""
        return self._buffer.waiting

    @property
    def refused(self) -> int:
        """Notes that found the buffer full."""
        return self._buffer.refused

    @property
    def lost(self) -> int:
        """Sums of which it never became known whether they were published, for half of
        `streams.lane_ttl_seconds`."""
        return self._buffer.lost


class Charging:
    """Of `rt.quotas`. Without `charges` nothing can be charged."""

    def __init__(self, charges: Charges | None, wake: Callable[[], None]) -> None:
        self._charges, self._wake = charges, wake

    def charge(self, tenant: str, data_bytes: int) -> None:
        """Bytes that were sent: they are taken from `data_per_minute_bytes` and `data_transfer_bytes` within
        `api.usage_flush_seconds`, as far as they fit; the rest is owed. Nothing is asked here."""
        if self._charges is not None:
            self._wake()
            self._charges.add(tenant, data_bytes)

    def owing(self, tenant: str) -> Decision | None:
        """Of a tenant that owes bytes: what is violated, and until when; else None. Known in this process
        alone."""
        return None if self._charges is None else self._charges.owing(tenant)
