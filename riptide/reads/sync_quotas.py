"""`rt.quotas`: what tenants may use, synchronous."""

from collections.abc import Callable, Mapping

from riptide.clock import Clock, SystemClock
from riptide.reads.noting import Charging
from riptide.store.sync import Store
from riptide.tenants.quotas.charges import Charges
from riptide.tenants.quotas.decision import Decision
from riptide.tenants.quotas.purse import Purse
from riptide.tenants.quotas.quotas import Quota, Quotas


class Lease:
    """A tenant's rate, taken ahead in small parts, so that most calls need no round trip. Threads may share
    it."""

    def __init__(self, store: Store, quotas: Quotas, tenant: str, resource: str, clock: Clock) -> None:
        quotas.check_leased(tenant, resource)
        self._store, self._quotas, self._tenant, self._resource = store, quotas, tenant, resource
        self._purse = Purse(resource, clock.monotonic)

    def known(self, amount: int = 1) -> Decision | None:
        """The same where nobody has to be asked; None: `take` has to, and nothing was taken."""
        with self._purse.lock:
            return self._purse.spend(amount)

    def take(self, amount: int = 1) -> Decision:
        """Whether `amount` may be used now. `resources` tell how it stood when the server was last asked.

        A suspension, or another limit, holds within a second. Raises as `QuotasFace.check` does.
        """
        purse = self._purse
        with purse.lock:
            known = purse.spend(amount)
            return self._ask(amount) if known is None else known

    def _ask(self, amount: int) -> Decision:
        wanted, missed, now = self._purse.want(amount)
        answer = self._store.drive(self._quotas.grant(self._tenant, self._resource, amount, wanted, missed))
        return self._purse.fill(answer, amount, now)


class QuotasFace(Charging):
    """Resources are those of the tenants' limits; amounts are whole numbers up to 2^40."""

    def __init__(
        self,
        store: Store,
        quotas: Quotas,
        clock: Clock | None = None,
        charges: Charges | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(charges, wake)
        self._store, self._clock = store, clock or SystemClock()
        #: What this face drives, for those who drive it together with something of their own.
        self.flows = quotas

    def check(self, tenant: str, amounts: Mapping[str, int]) -> Decision:
        """Take amounts by resource: all, if the tenant is active and has enough of each; else none.

        Rates and totals are taken; levels are compared alone, and change where what they measure does. The
        answer is true or false; its `raise_if_refused()` raises QuotaExceeded, TenantNotActive, or
        ServerUnavailable where an outage refuses it. Raises InvalidInput, MultiTenancyDisabled,
        UnknownTenant.
        """
        return self._store.drive(self.flows.check(tenant, amounts))

    def lease(self, tenant: str, resource: str = "operations_per_minute") -> Lease:
        """A rate to be taken from without asking the server each time. To be kept: each has its own part.

        Raises InvalidInput, MultiTenancyDisabled.
        """
        return Lease(self._store, self.flows, tenant, resource, self._clock)

    def show(self, tenant: str) -> list[Quota]:
        """How the tenant stands with every resource. Raises as `check`, and ServerUnavailable."""
        return self._store.drive(self.flows.show(tenant))
