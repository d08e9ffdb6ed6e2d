"""`/admin/tenants/{tenant_id}/…`: what a tenant used, owes and has; its limits and policies."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic_core import to_json

from riptide.api import models
from riptide.api.access.caller import Caller
from riptide.api.answers import answer
from riptide.api.desk import desk
from riptide.api.documented import Responses, answers
from riptide.api.endpoints.tenants import Reads, Writes, check_own_record, shown
from riptide.api.parameters import Limit, Month, OnlyMonth, TenantPath
from riptide.api.permits import permit
from riptide.tenants.billing.invoice import Invoice
from riptide.tenants.usage.reading import Counted

router = APIRouter(prefix="/admin/tenants/{tenant_id}", tags=["accounts"])
_NDJSON = "application/x-ndjson"
_EXPORT: Responses = {
    200: {
        "description": "A row a line, each with its `kind`: tenant, usage, invoice, audit or entry.",
        "content": {_NDJSON: {"schema": {"type": "string"}}},
    }
}
_FOUND = answers(404, 409)

Bills = Annotated[Caller, permit("billing:read", of="tenant_id")]
Number = Annotated[
    str | None,
    Query(pattern=r"^[0-9]{4}-[0-9]{2}(\.c[0-9]{1,9})?$", description="Go on where a page ended."),
]


@router.get("/usage", response_model=models.Usage, responses=_FOUND)
async def show_usage(
    request: Request,
    tenant_id: TenantPath,
    caller: Reads,
    month: Month = None,
    hours: Annotated[bool, Query(description="By hour, too; hours are kept for 35 days.")] = False,
) -> Response:
    """Show what a tenant used in a month, in all and by operation.

    Records that still wait in their streams are not counted yet.
    """
    rt = desk(request).rt
    await rt.tenants.show(tenant_id)
    used = await rt.usage.show(tenant_id, month)
    found = asdict(used) | {"adjustments": _counted(used.adjustments)}
    if hours:
        by_hour = await rt.usage.hours(tenant_id, used.month)
        found["by_hour"] = {name: _counted(counted) for name, counted in by_hour.items()}
    return answer(found)


@router.get("/quotas", response_model=models.Quotas, responses=_FOUND)
async def show_quotas(request: Request, tenant_id: TenantPath, caller: Reads) -> Response:
    """Show how a tenant stands with each resource. Nothing is taken."""
    rows = [
        {
            "resource": one.resource,
            "source": one.source,
            **asdict(one.standing),
            "remaining": one.standing.remaining,
        }
        for one in await desk(request).rt.quotas.show(tenant_id)
    ]
    return answer({"quotas": rows})


@router.get("/billing", response_model=Invoice, responses=_FOUND)
async def estimate_bill(
    request: Request, tenant_id: TenantPath, caller: Bills, month: Month = None
) -> Response:
    """Tell what the invoice would be if the month ended with what has been counted by now."""
    check_own_record(tenant_id)
    return answer(await desk(request).rt.billing.estimate(tenant_id, month))


@router.get("/invoices", response_model=models.Invoices, responses=_FOUND)
async def list_invoices(
    request: Request,
    tenant_id: TenantPath,
    caller: Bills,
    month: OnlyMonth = None,
    limit: Limit = 100,
    cursor: Number = None,
) -> Response:
    """List a tenant's invoices and credit notes, in the order of their months."""
    rt = desk(request).rt
    await rt.tenants.show(tenant_id)
    found = [one for one in await rt.billing.invoices(tenant_id) if month in {None, one.month}]
    start = next((at + 1 for at, one in enumerate(found) if one.number == cursor), 0)
    page = found[start : start + limit]
    more = start + limit < len(found)
    return answer({"invoices": page, "cursor": page[-1].number if more else None})


@router.get("/export", response_class=StreamingResponse, responses=answers(404, 409, also=_EXPORT))
async def export_tenant(
    request: Request,
    tenant_id: TenantPath,
    caller: Annotated[Caller, permit("tenants:export", of="tenant_id")],
    entries: Annotated[bool, Query(description="Also what its cache holds, with the values.")] = False,
) -> Response:
    """Hand out all that a tenant has as JSON Lines: record, usage, invoices, audit trail.

    An answer that breaks off has no end mark of its transfer coding: clients see it as incomplete.
    """
    rows = desk(request).rt.tenants.export(tenant_id, entries=entries)
    first = await anext(rows)  # whether there is such a tenant is told by the status

    async def lines() -> AsyncIterator[bytes]:
        yield _line(first)
        async for row in rows:
            yield _line(row)

    return StreamingResponse(lines(), media_type=_NDJSON)


@router.get("/policies", response_model=models.Policies, responses=_FOUND)
async def list_policies(request: Request, tenant_id: TenantPath, caller: Reads) -> Response:
    """List the rules by which a tenant may do things."""
    return answer({"policies": await desk(request).rt.tenants.policies(tenant_id)})


@router.post("/policies", status_code=201, response_model=models.Tenant, responses=_FOUND)
async def add_policy(
    request: Request, tenant_id: TenantPath, caller: Writes, rule: models.NewRule
) -> Response:
    """Allow a tenant an action on a resource. From its first rule on only what a rule allows is."""
    check_own_record(tenant_id)
    changed = await desk(request).rt.tenants.allow(tenant_id, rule.resource, rule.action, actor=caller.actor)
    return shown(changed, 201)


@router.delete("/policies", response_model=models.Tenant, responses=_FOUND)
async def remove_policy(
    request: Request,
    tenant_id: TenantPath,
    caller: Writes,
    resource: Annotated[models.Pattern, Query(description="Of the rule.")],
    action: Annotated[models.Pattern, Query(description="Of the rule.")],
) -> Response:
    """Take a rule back. Without any rule everything is allowed."""
    check_own_record(tenant_id)
    return shown(await desk(request).rt.tenants.disallow(tenant_id, resource, action, actor=caller.actor))


def _counted(counted: Counted) -> dict[str, Any]:
    by_operation = {name: asdict(amounts) for name, amounts in counted.by_operation.items()}
    return {**asdict(counted.total), "by_operation": by_operation}


def _line(row: Mapping[str, Any]) -> bytes:
    return to_json(row) + b"\n"
