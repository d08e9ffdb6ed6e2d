"""Carries out `close_period`: a month is sealed and its invoices are written (docs/billing.md).

Closing is idempotent: a tenant whose invoice is there already is passed over.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

from commands.close_period import ClosePeriod
from riptide.errors import Dead, InvalidInput, UnknownTenant
from riptide.names import DEFAULT_TENANT
from riptide.reads.context import Context
from riptide.streams.job import Job
from riptide.tenants.billing.billing import MonthNotOver
from riptide.tenants.billing.money import money
from riptide.tenants.billing.terms import had_plan
from riptide.tenants.registry.tenant import Tenant
from riptide.tenants.usage.periods import month as month_named

ACTOR = "worker:close_period"
_NAMED = 5


async def handle(batch: Sequence[Job], ctx: Context) -> None:
    for job in batch:
        try:
            month = cast(ClosePeriod, job.command).period
            if job.tenant is None or job.tenant == DEFAULT_TENANT:
                job.result = await close_all(month, ctx, job)
            else:
                job.result = await close(job.tenant, month, ctx)
        except (InvalidInput, UnknownTenant) as error:
            job.fail(Dead(str(error)))
        except Exception as error:  # noqa: BLE001 - the runtime decides by its kind
            job.fail(error)


async def close(tenant: str, month: str, ctx: Context) -> dict[str, Any]:
    invoice = await ctx.rt.billing.close(tenant, month, actor=ACTOR)
    return {"number": invoice.number, "total": money(invoice.total_micros), "currency": invoice.currency}


async def close_all(month: str, ctx: Context, job: Job) -> dict[str, Any]:
    """Close a month for everybody who had a plan in it. Raises Dead that names whom it could not be done for,
    when it has been done for the others."""
    closed, period = 0, month_named(month)
    failed: dict[str, str] = {}
    async for tenant in _tenants(ctx):
        try:
            if had_plan(tenant.plans, period):
                await close(tenant.id, month, ctx)
                closed += 1
        except MonthNotOver:
            raise
        except InvalidInput as error:
            failed[tenant.id] = str(error)
        except UnknownTenant:
            continue  # deleted meanwhile
        job.progress(closed + len(failed), note=tenant.id)
    if failed:
        named = "; ".join(f"{tenant}: {why}" for tenant, why in list(failed.items())[:_NAMED])
        raise Dead(f"{month} was closed for {closed} tenants, and could not be for {len(failed)}: {named}")
    return {"month": month, "closed": closed}


async def _tenants(ctx: Context) -> AsyncIterator[Tenant]:
    after = None
    while True:
        page = await ctx.rt.tenants.list(after=after, limit=1000)
        for tenant in page.tenants:
            if tenant.status != "pending":
                yield tenant
        if (after := page.cursor) is None:
            return
