"""`rt.billing`: what tenants owe, synchronous."""

from decimal import Decimal

from riptide.store.sync import Store
from riptide.tenants.billing.billing import Billing
from riptide.tenants.billing.invoice import Invoice
from riptide.tenants.billing.invoices import Credit
from riptide.tenants.billing.money import micros_of


class BillingFace:
    """Months are named like `2026-11`, in UTC; money is in millionths of the currency's unit.

    All raise InvalidInput for what cannot be, UnknownTenant, ServerUnavailable.
    """

    def __init__(self, store: Store, billing: Billing) -> None:
        self._store, self._billing = store, billing

    def estimate(self, tenant: str, month: str | None = None) -> Invoice:
        """What the invoice of a month (by default the present one) would be if it ended with what has been
        counted by now. Nothing is written."""
        return self._store.drive(self._billing.estimate(tenant, month))

    def close(self, tenant: str, month: str, *, actor: str | None = None) -> Invoice:
        """Seal a month that is over, and write its invoice; if that was done before, answer that one.

        What is counted later of that month is on the tenant's next invoice. The command `close_period` does
        it for all tenants.
        """
        return self._store.drive(self._billing.close(tenant, month, actor))

    def invoices(self, tenant: str) -> list[Invoice]:
        """All invoices and credit notes of a tenant, in the order of months."""
        return self._store.drive(self._billing.invoices(tenant))

    def credit(
        self,
        tenant: str,
        number: str,
        amount: Decimal | str,
        reason: str,
        *,
        reference: str | None = None,
        actor: str | None = None,
    ) -> Invoice:
        """Write a credit note that takes `amount` of the currency's units, such as "12.50", off an invoice.

        It is never more than what is left of it. The same `reference`, such as a ticket, is credited once.
        """
        credit = Credit(number, micros_of(amount), reason, reference)
        return self._store.drive(self._billing.credit(tenant, credit, actor))
