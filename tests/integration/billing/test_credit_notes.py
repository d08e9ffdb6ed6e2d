"""Credit notes correct an invoice, which itself never changes."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from riptide.errors import InvalidInput, RiptideError
from riptide.tenants.plans import MICROS
from tests.integration.billing.conftest import LAST, Office, named

NUMBER = named(LAST)


@pytest.fixture
def closed(one_office: Office) -> Office:
    """A tenant with an invoice of 49.00."""
    one_office.tenant("acme")
    one_office.rt.billing.close("acme", NUMBER)
    return one_office


def test_credit_notes(closed: Office) -> None:
    billing = closed.rt.billing
    invoice = billing.invoices("acme")[0]
    first = billing.credit("acme", NUMBER, "12.50", "an outage")
    second = billing.credit("acme", NUMBER, Decimal("36.50"), "the rest")
    assert (first.number, first.total_micros, first.credits) == (f"{NUMBER}.c1", -12_500_000, NUMBER)
    assert billing.invoices("acme") == [invoice, first, second]
    with pytest.raises(InvalidInput, match=r"at most 0\.00 EUR"):
        billing.credit("acme", NUMBER, "0.01", "too much")
    operations = [one.operation for one in closed.rt.tenants.audit("acme").records]
    assert operations[:3] == ["credit_note", "credit_note", "invoice"]


def test_a_reference_is_credited_once(closed: Office) -> None:
    billing = closed.rt.billing
    note = billing.credit("acme", NUMBER, "5.00", "an outage", reference="T-1")
    assert billing.credit("acme", NUMBER, "5.00", "an outage", reference="T-1") == note
    with pytest.raises(InvalidInput, match="was used before"):
        billing.credit("acme", NUMBER, "6.00", "an outage", reference="T-1")
    assert len(billing.invoices("acme")) == 2


def test_many_at_once_never_credit_more_than_there_is(closed: Office) -> None:
    def credit(_: int) -> bool:
        try:
            closed.rt.billing.credit("acme", NUMBER, "10.00", "an outage")
        except RiptideError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(credit, range(8))) == 4
    assert sum(one.total_micros for one in closed.rt.billing.invoices("acme")) == 9 * MICROS


@pytest.mark.parametrize(
    "amount",
    [
        "0",
        "-1",
        "0.001",
        "nan",
        "inf",
        "1e30",
        "",
        "12,50",
        "1_0",
        "1e1",
        " 1",
        "\u0661",
        "1.",
        12.5,
        None,
        Decimal("NaN"),
        True,
    ],
)
def test_amounts_that_are_none(closed: Office, amount: Any) -> None:
    with pytest.raises(InvalidInput, match="an amount is above 0"):
        closed.rt.billing.credit("acme", NUMBER, amount, "an outage")


def test_an_invoice_that_is_none(closed: Office) -> None:
    with pytest.raises(InvalidInput, match=f"no invoice '1999-01'; there are: {NUMBER}"):
        closed.rt.billing.credit("acme", "1999-01", "1.00", "an outage")
    with pytest.raises(InvalidInput, match="needs a reason"):
        closed.rt.billing.credit("acme", NUMBER, "1.00", "")
