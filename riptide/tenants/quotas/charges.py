"""Bytes that tenants were sent: taken from their quotas soon afterwards, as far as they fit.

Nobody knows before how many there will be. What does not fit is owed, and taken as soon as it fits; until
then the tenant gets nothing more from this process.
"""

import threading

from riptide.config import ApiSettings
from riptide.errors import ServerUnavailable
from riptide.store.operation import Flow
from riptide.tenants.quotas.decision import Decision
from riptide.tenants.quotas.quotas import Quotas
from riptide.tenants.quotas.script import Charged

#: Every byte sent counts for both.
BYTES = ("data_per_minute_bytes", "data_transfer_bytes")


class Charges:
    """Of one client. Safe to share between threads."""

    def __init__(self, quotas: Quotas, settings: ApiSettings) -> None:
        self._quotas, self._settings = quotas, settings
        self.drop()

    def drop(self) -> None:
        """Hold nothing: what a forked child inherits is its parent's to take."""
        self._lock = threading.Lock()
        self._due: dict[str, int] = {}
        self._debts: dict[str, Charged] = {}

    @property
    def waiting(self) -> int:
        """Tenants whose bytes have not been taken yet."""
        return len(self._due)

    def add(self, tenant: str, amount: int) -> None:
        """Bytes of more tenants than api.usage_max_waiting at a time are not taken."""
        with self._lock:
            due = self._due.get(tenant)
            if due is not None or len(self._due) < self._settings.usage_max_waiting:
                self._due[tenant] = (due or 0) + amount

    def owing(self, tenant: str) -> Decision | None:
        """How the tenant stands that owes something; None: it owes nothing."""
        debt = self._debts.get(tenant)
        return None if debt is None else debt.decision

    def flush(self) -> Flow[None]:
        """Take what is due. Raises ServerUnavailable; if nothing was sent, it stays due."""
        with self._lock:
            due, self._due = self._due, {}
        wanted = {tenant: dict.fromkeys(BYTES, amount) for tenant, amount in due.items()}
        for tenant, debt in self._debts.items():
            mine = wanted.setdefault(tenant, {})
            for resource, amount in debt.left.items():
                mine[resource] = mine.get(resource, 0) + amount
        try:
            charged = yield from self._quotas.charge(wanted)
        except ServerUnavailable as error:
            if not error.maybe_done:
                for tenant, amount in due.items():
                    self.add(tenant, amount)
            raise
        self._debts = {one.decision.tenant: one for one in charged if one.left}
