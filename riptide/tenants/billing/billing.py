"""Estimates, closing months, invoices and credit notes."""

from collections.abc import Callable, Sequence
from typing import Literal

from riptide.config import Settings
from riptide.errors import InvalidInput
from riptide.names import DEFAULT_TENANT, check_tenant
from riptide.store.keys import Keys
from riptide.store.operation import Flow, ask
from riptide.tenants.billing.computing import METRICS, Line, Sums, adjustment_of, lines_of, total_of
from riptide.tenants.billing.invoice import Invoice, Late
from riptide.tenants.billing.invoices import Credit, Invoices
from riptide.tenants.billing.terms import Term, had_plan, terms_of
from riptide.tenants.facts import KnownTenants
from riptide.tenants.plans import Metric, Plans
from riptide.tenants.registry.audit import Audit, check_actor
from riptide.tenants.registry.changing import unknown
from riptide.tenants.registry.record import Records
from riptide.tenants.registry.tenant import Tenant, tenant_of
from riptide.tenants.usage.periods import MONTHS_KEPT, Period, month, month_of
from riptide.tenants.usage.reading import Counted, MonthlySums, read_month
from riptide.tenants.usage.sealing import seal, sealed_sums
from riptide.tenants.usage.storage import byte_seconds

_KEPT_SECONDS = MONTHS_KEPT * 86_400
_LONGEST_REASON, _LONGEST_REFERENCE = 500, 200


class MonthNotOver(InvalidInput):
    """What has been counted of it is not all."""


class Billing:
    """Builds the flows on what tenants owe, shared by both faces."""

    def __init__(
        self, keys: Keys, settings: Settings, known: KnownTenants, plans: Callable[[], Plans]
    ) -> None:
        self._keys, self._known, self._plans = keys, known, plans
        self._settings = settings.tenant
        self._records = Records(keys)
        self._invoices = Invoices(keys, Audit(keys, settings.security))

    def invoices(self, tenant: str) -> Flow[list[Invoice]]:
        return (yield from ask(self._invoices.all_of(check_tenant(tenant))))

    def estimate(self, tenant: str, month_name: str | None) -> Flow[Invoice]:
        """What the invoice would be if the month ended with what has been counted by now."""
        found, now_ms = yield from self._tenant(tenant)
        period = month_of(now_ms) if month_name is None else month(month_name)
        sums = yield from read_month(self._keys, tenant, period.name)
        usage = yield from self._usage(found, period, sums.all)
        there = yield from ask(self._invoices.all_of(tenant))
        others = [one for one in there if one.month != period.name]
        late = yield from self._late(found, others, now_ms, _open_sums)
        terms = self._terms(found, period)
        return _invoice(found, terms, period, usage, late, others, now_ms, kind="estimate")

    def close(self, tenant: str, month_name: str, actor: str | None) -> Flow[Invoice]:
        """Seal a month that is over, and write its invoice; done before, it answers that one."""
        if not self._settings.enable_billing:
            raise InvalidInput("billing is off: tenant.enable_billing is false")
        by, period = check_actor(actor), month(month_name)
        found, now_ms = yield from self._tenant(tenant)
        if now_ms < period.end * 1000:
            raise MonthNotOver(f"{period.name} is not over yet (months are in UTC); see 'billing estimate'")
        if period.expires * 1000 <= now_ms:
            raise InvalidInput(f"what was used in {period.name} is not kept any more")
        terms = self._terms(found, period)
        there = yield from ask(self._invoices.all_of(tenant))
        for invoice in there:
            if invoice.month == period.name and invoice.kind == "invoice":
                return invoice
        yield from seal(self._keys, {tenant: found.incarnation}, period.name)
        counted = yield from sealed_sums(self._keys, tenant, period.name)
        usage = yield from self._usage(found, period, counted)
        late = yield from self._late(found, there, now_ms, self._sealed_sums)
        invoice = _invoice(found, terms, period, usage, late, there, now_ms)
        return (yield from self._invoices.write(found, invoice, by))

    def credit(self, tenant: str, credit: Credit, actor: str | None) -> Flow[Invoice]:
        """Write a credit note."""
        by = check_actor(actor)
        if not _is_text(credit.reason, _LONGEST_REASON):
            raise InvalidInput(f"a credit note needs a reason of 1 to {_LONGEST_REASON} printable characters")
        if credit.reference is not None and not _is_text(credit.reference, _LONGEST_REFERENCE):
            raise InvalidInput(f"a reference is a text of 1 to {_LONGEST_REFERENCE} printable characters")
        found, now_ms = yield from self._tenant(tenant)
        return (yield from self._invoices.credit(found, credit, now_ms, by))

    def _tenant(self, tenant: str) -> Flow[tuple[Tenant, int]]:
        if check_tenant(tenant) == DEFAULT_TENANT:
            raise InvalidInput(f"the tenant {tenant} has no plan, so it is not billed")
        stored = yield from ask(self._records.read(tenant))
        if not stored.fields:
            raise unknown(tenant)
        return tenant_of(tenant, stored.fields), stored.now_ms

    def _usage(self, tenant: Tenant, period: Period, counted: Counted) -> Flow[dict[Metric, int]]:
        stored = yield from byte_seconds(self._keys, self._known, tenant.id, period.name)
        usage = _metrics(counted)
        return usage | {"storage_byte_hours": usage["storage_byte_hours"] + stored // 3600}

    def _late(
        self,
        tenant: Tenant,
        there: Sequence[Invoice],
        now_ms: int,
        sums_of: Callable[[Tenant, str, int, MonthlySums], Flow[Counted]],
    ) -> Flow[list[Late]]:
        """What months that were billed have got since. Which generation that is, the invoices tell: so a
        repetition after a crash finds the same."""
        late = []
        for invoice in there:
            if invoice.kind == "invoice" and month(invoice.month).end + _KEPT_SECONDS > now_ms // 1000:
                generation = 1 + len(_late_of(there, invoice.month))
                sums = yield from read_month(self._keys, tenant.id, invoice.month)
                if sums.of(generation).by_operation:
                    counted = yield from sums_of(tenant, invoice.month, generation, sums)
                    usage = _metrics(counted)
                    late.append(Late(month=invoice.month, generation=generation, usage=usage))
        return late

    def _sealed_sums(self, tenant: Tenant, name: str, generation: int, _: MonthlySums) -> Flow[Counted]:
        yield from seal(self._keys, {tenant.id: tenant.incarnation}, name, generation)
        return (yield from sealed_sums(self._keys, tenant.id, name, generation))

    def _terms(self, tenant: Tenant, period: Period) -> list[Term]:
        if not had_plan(tenant.plans, period):
            raise InvalidInput(f"the tenant {tenant.id} had no plan in {period.name}: it came later")
        return terms_of(tenant.plans, period, self._plans())


def _invoice(
    tenant: Tenant,
    terms: Sequence[Term],
    period: Period,
    usage: Sums,
    late: Sequence[Late],
    there: Sequence[Invoice],
    now_ms: int,
    kind: Literal["invoice", "estimate"] = "invoice",
) -> Invoice:
    currency = terms[0].priced.currency
    lines = [*lines_of(terms, usage), *(line for one in late for line in _late_lines(one, there, currency))]
    return Invoice(
        kind=kind,
        number=period.name,
        tenant=tenant.id,
        month=period.name,
        currency=currency,
        issued_ms=now_ms,
        lines=tuple(lines),
        total_micros=total_of(lines),
        usage=dict(usage),
        late=tuple(late),
        terms=tuple(terms),
    )


def _is_text(given: object, longest: int) -> bool:
    return isinstance(given, str) and 0 < len(given) <= longest and given.isprintable()


def _open_sums(_tenant: Tenant, _name: str, generation: int, sums: MonthlySums) -> Flow[Counted]:
    """What an estimate takes: nothing is sealed for it."""
    yield from ()
    return sums.of(generation)


def _late_of(there: Sequence[Invoice], name: str) -> list[Late]:
    return [late for invoice in there for late in invoice.late if late.month == name]


def _late_lines(late: Late, there: Sequence[Invoice], currency: str) -> list[Line]:
    first = next(one for one in there if one.month == late.month and one.kind == "invoice")
    if first.currency != currency:
        raise InvalidInput(
            f"{late.month} was billed in {first.currency}, so what came late cannot be billed in {currency}"
        )
    before = dict(first.usage)
    for one in _late_of(there, late.month):
        before = {metric: before.get(metric, 0) + one.usage.get(metric, 0) for metric in METRICS}
    return adjustment_of(first.terms, before, late.usage, late.month)


def _metrics(counted: Counted) -> dict[Metric, int]:
    """Each recorded byte is stored for one hour."""
    total = counted.total
    return {
        "operations": total.operations,
        "data_bytes": total.data_bytes,
        "compute_ms": total.compute_ms,
        "storage_byte_hours": total.storage_bytes,
    }
