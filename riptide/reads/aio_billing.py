"""`rt.billing`: what tenants owe, asynchronous."""

from decimal import Decimal

from riptide.store.aio import AsyncStore
from riptide.tenants.billing.billing import Billing
from riptide.tenants.billing.invoice import Invoice
from riptide.tenants.billing.invoices import Credit
from riptide.tenants.billing.money import micros_of


class AsyncBillingFace:
    """Methods mean what those of `BillingFace` mean."""

    def __init__(self, store: AsyncStore, billing: Billing) -> None:
        self._store, self._billing = store, billing

    async def estimate(self, tenant: str, month: str | None = None) -> Invoice:
        return await self._store.drive(self._billing.estimate(tenant, month))

    async def close(self, tenant: str, month: str, *, actor: str | None = None) -> Invoice:
        return await self._store.drive(self._billing.close(tenant, month, actor))

    async def invoices(self, tenant: str) -> list[Invoice]:
        return await self._store.drive(self._billing.invoices(tenant))

    async def credit(
        self,
        tenant: str,
        number: str,
        amount: Decimal | str,
        reason: str,
        *,
        reference: str | None = None,
        actor: str | None = None,
    ) -> Invoice:
        credit = Credit(number, micros_of(amount), reason, reference)
        return await self._store.drive(self._billing.credit(tenant, credit, actor))
