"""`close_period`: a worker closes a month for one tenant or for all."""

import asyncio

from commands import ClosePeriod
from riptide.streams.registry import CommandType
from riptide.streams.status import Status
from tests.integration.billing.conftest import LAST, Office, named, this_month
from tests.support.waiting import PATIENCE
from tests.support.workers import running_worker
from workers import HANDLERS

TYPES = [CommandType("close_period", ClosePeriod, HANDLERS["close_period"])]


def carry_out(office: Office, period: str, tenant: str | None = None) -> Status:
    ref = office.rt.publish(ClosePeriod(period=period), tenant=tenant)

    async def run() -> Status:
        async with running_worker(office.rt.settings, TYPES):
            return await asyncio.to_thread(office.rt.wait, ref, PATIENCE)

    return asyncio.run(run())


def test_for_all(office: Office) -> None:
    names = [office.tenant(f"t{n}", "free") for n in range(5)]
    office.rt.tenants.create("new")  # it had no plan last month
    assert carry_out(office, named(LAST)).value == {"month": named(LAST), "closed": 5}
    assert [len(office.rt.billing.invoices(name)) for name in [*names, "new"]] == [1] * 5 + [0]
    assert carry_out(office, named(LAST)).value == {"month": named(LAST), "closed": 5}
    assert [len(office.rt.billing.invoices(name)) for name in names] == [1] * 5


def test_for_one(one_office: Office) -> None:
    one_office.tenant("acme")
    one_office.tenant("other")
    value = {"number": named(LAST), "total": "49.00", "currency": "EUR"}
    assert carry_out(one_office, named(LAST), "acme").value == value
    assert not one_office.rt.billing.invoices("other")


def test_a_month_that_is_not_over_is_dead_at_once(one_office: Office) -> None:
    one_office.tenant("acme")
    status = carry_out(one_office, this_month())
    assert (status.state, status.attempts) == ("dead", 1)
    assert "is not over yet" in str(status.error)


def test_a_tenant_that_is_not_there_is_dead_at_once(one_office: Office) -> None:
    status = carry_out(one_office, named(LAST), "nobody")
    assert (status.state, status.attempts) == ("dead", 1)
    assert "there is no tenant nobody" in str(status.error)


def test_who_cannot_be_closed_is_named_and_the_others_are_closed(one_office: Office) -> None:
    one_office.tenant("acme")
    one_office.plans(one_office.tenant("lost"), [(LAST, "gone-from-the-file")])
    one_office.tenant("zeta")
    status = carry_out(one_office, named(LAST))
    assert status.state == "dead"
    assert "closed for 2 tenants, and could not be for 1: lost: there is no plan" in str(status.error)
    assert all(one_office.rt.billing.invoices(name) for name in ("acme", "zeta"))
