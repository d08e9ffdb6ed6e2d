"""Months are closed once; what comes late is on the next invoice; together they are what was used."""

from collections.abc import Callable
from itertools import count

import pytest

from riptide.errors import InvalidInput, UnknownTenant
from riptide.reads.assembly import assemble
from riptide.store.operation import Flow
from riptide.tenants.billing.billing import MonthNotOver
from riptide.tenants.billing.computing import lines_of, total_of
from riptide.tenants.billing.invoice import Invoice
from riptide.tenants.plans import MICROS
from tests.integration.billing.conftest import BEFORE, LAST, THIS, Office, named, this_month
from tests.support.deployment import Deployment

MILLION = 1_000_000


def test_a_month_is_closed(office: Office) -> None:
    billing, acme = office.rt.billing, office.tenant("acme")
    office.used(acme, LAST, operation_count=25 * MILLION, storage_bytes=5)
    invoice = billing.close(acme, named(LAST))
    assert (invoice.kind, invoice.number, invoice.currency) == ("invoice", named(LAST), "EUR")
    assert invoice.usage["operations"] == 25 * MILLION
    assert invoice.usage["storage_byte_hours"] == 5
    fee, above = invoice.lines
    assert (fee.micros, above.metric, above.quantity) == (49 * MICROS, "operations", 5 * MILLION)
    assert invoice.total_micros == 51 * MICROS  # 5 times 0.40 above what is included
    assert billing.close(acme, named(LAST)) == invoice
    assert billing.invoices(acme) == [invoice]
    assert office.rt.usage.show(acme, named(LAST)).sealed


def test_what_comes_late_is_on_the_next_invoice(office: Office) -> None:
    billing, acme = office.rt.billing, office.tenant("acme")
    office.used(acme, BEFORE, operation_count=19 * MILLION)
    first = billing.close(acme, named(BEFORE))
    office.used(acme, BEFORE, operation_count=3 * MILLION)
    assert billing.close(acme, named(BEFORE)) == first
    assert billing.estimate(acme, named(LAST)).late
    second = billing.close(acme, named(LAST))
    (late,) = second.late
    assert (late.month, late.generation, late.usage["operations"]) == (named(BEFORE), 1, 3 * MILLION)
    office.used(acme, BEFORE, operation_count=1)
    third = billing.estimate(acme)
    assert [one.generation for one in third.late] == [2]
    whole = total_of(lines_of(first.terms, {"operations": 22 * MILLION + 1}))
    billed = [line.micros for one in (first, second, third) for line in one.lines]
    fees = [line.micros for one in (second, third) for line in one.lines if line.metric is None]
    assert sum(billed) - sum(fees) == whole


def test_a_close_that_dies_at_any_step_is_done_again(one_office: Office) -> None:
    office = one_office
    acme = office.tenant("acme")
    office.used(acme, BEFORE, operation_count=21 * MILLION)
    office.rt.billing.close(acme, named(BEFORE))
    office.used(acme, BEFORE, operation_count=1 * MILLION)
    office.used(acme, LAST, operation_count=30 * MILLION)
    flows = assemble(None, office.rt.settings).billing
    for steps in count():
        if _dies_after(office, flows.close(acme, named(LAST), None), steps):
            break
    assert steps > 3
    *_, invoice = office.rt.billing.invoices(acme)
    assert invoice.usage["operations"] == 30 * MILLION
    assert [one.usage["operations"] for one in invoice.late] == [1 * MILLION]
    assert len(office.rt.billing.invoices(acme)) == 2


def _dies_after(office: Office, flow: Flow[Invoice], steps: int) -> bool:
    """Carry out the first `steps` of a flow; True if it ended by then."""

    def cut() -> Flow[bool]:
        answer = None
        for _ in range(steps):
            try:
                step = flow.send(answer)
            except StopIteration:
                return True
            answer = yield step
        return False

    return office.rt.store.drive(cut())


def test_a_plan_changed_in_mid_month(one_office: Office) -> None:
    office, acme = one_office, one_office.tenant("acme")
    office.plans(acme, [(BEFORE, "basic"), (LAST.replace(day=16), "professional")])
    days = (THIS - LAST).days
    invoice = office.rt.billing.close(acme, named(LAST))
    fees = [(line.plan, line.quantity) for line in invoice.lines]
    assert fees == [("basic", 15), ("professional", days - 15)]
    assert [term.priced.base_fee for term in invoice.terms] == [49 * MICROS, 249 * MICROS]


@pytest.mark.parametrize(
    ("tenant", "month", "error", "says"),
    [
        ("acme", this_month, MonthNotOver, "not over yet"),
        ("acme", "2026-13", InvalidInput, "no month"),
        ("acme", "2001-01", InvalidInput, "2001-01 is not kept any more"),
        ("nobody", named(LAST), UnknownTenant, "no tenant nobody"),
        ("default", named(LAST), InvalidInput, "not billed"),
        ("a}", named(LAST), InvalidInput, "tenant"),
    ],
)
def test_what_cannot_be_closed(
    one_office: Office, tenant: str, month: str | Callable[[], str], error: type[Exception], says: str
) -> None:
    one_office.tenant("acme")
    with pytest.raises(error, match=says):
        one_office.rt.billing.close(tenant, month if isinstance(month, str) else month())


def test_billing_can_be_off(on_valkey: Deployment, open_office: Callable[..., Office]) -> None:
    office = open_office(on_valkey, tenant={"enable_billing": False})
    office.tenant("acme")
    with pytest.raises(InvalidInput, match="billing is off"):
        office.rt.billing.close("acme", named(LAST))


def test_nothing_is_written_for_a_tenant_that_was_deleted_meanwhile(one_office: Office) -> None:
    office, acme = one_office, one_office.tenant("acme")
    flow = assemble(None, office.rt.settings).billing.close(acme, named(LAST), None)
    record = office.place.keys.record(acme)

    # The record was read before it became another's.
    first = next(flow)
    answer = office.rt.store.run(first)  # type: ignore[arg-type]
    office.place.client.hset(record, "incarnation", "f" * 16)

    def rest() -> Flow[Invoice]:
        reply = answer
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            reply = yield step

    with pytest.raises(UnknownTenant, match="deleted meanwhile"):
        office.rt.store.drive(rest())
    assert not office.rt.billing.invoices(acme)
