"""`/admin/tenants`: who shares this deployment. What is changed here holds at once."""

import hashlib
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.routing import APIRoute

from riptide.api import models
from riptide.api.access.caller import Caller
from riptide.api.answers import accepted, answer, location, moment
from riptide.api.desk import desk
from riptide.api.documented import COMMAND, ETAGGED, LOCATED, Responses, answers, problem
from riptide.api.etags import check_match, etag_of, matches
from riptide.api.parameters import (
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    Limit,
    TenantCursor,
    TenantPath,
    Wait,
)
from riptide.api.permits import check, identified, identifying, permit, permit_own
from riptide.api.problems import Problem
from riptide.errors import TenantExists
from riptide.names import DEFAULT_TENANT
from riptide.store.operation import together
from riptide.tenants.registry.registry import TenantPage
from riptide.tenants.registry.tenant import Tenant

router = APIRouter(prefix="/admin/tenants", tags=["tenants"])
_MOST_READS = 20

_MADE_BEFORE: Responses = {
    200: {
        "model": models.Tenant,
        "description": "It was made before, with the same key.",
        "headers": LOCATED | ETAGGED,
    },
    201: {"headers": LOCATED | ETAGGED},
}
_SAME: Responses = {
    200: {"headers": ETAGGED},
    304: {"description": "It still has one of the entity tags.", "headers": ETAGGED},
}
_SHOWN: Responses = {200: {"headers": ETAGGED}}

Status = Literal["pending", "active", "suspended", "disabled"]
Reads = Annotated[Caller, permit("tenants:read", of="tenant_id")]
Writes = Annotated[Caller, permit("tenants:write")]
Suspends = Annotated[Caller, permit("tenants:suspend")]


def facts(tenant: Tenant) -> dict[str, Any]:
    """As the model `Tenant` has it."""
    return {
        "tenant_id": tenant.id,
        "name": tenant.name,
        "status": tenant.status,
        "why": tenant.why,
        "billing_plan": tenant.plan,
        "owner": tenant.owner,
        "settings": tenant.settings,
        "metadata": tenant.metadata,
        "limits": tenant.limits,
        "overrides": tenant.overrides,
        "policies": tenant.policies,
        "plans": [{"since": moment(since), "plan": plan} for since, plan in tenant.plans],
        "shards": tenant.shards,
        "encrypted": tenant.key > 0,
        "revision": tenant.revision,
        "created_at": moment(tenant.created_ms),
        "changed_at": moment(tenant.changed_ms),
    }


def shown(tenant: Tenant, status: int = 200, **headers: str) -> Response:
    return answer(facts(tenant), status, {"ETag": etag_of(tenant), **headers})


@router.get("", response_model=models.Tenants, responses=answers())
async def list_tenants(
    request: Request,
    caller: Annotated[Caller, permit_own("tenants:read")],
    limit: Limit = 100,
    cursor: TenantCursor = None,
    status: Annotated[Status | None, Query(description="Only those of this status.")] = None,
    billing_plan: Annotated[str | None, Query(description="Only those with this plan.")] = None,
) -> Response:
    """List the tenants, in order of their ids.

    With a filter a page may have fewer than `limit` although others follow: `cursor` says so. A tenant's key
    sees that tenant alone.
    """
    rt = desk(request).rt

    def wanted(tenant: Tenant) -> bool:
        return status in {None, tenant.status} and billing_plan in {None, tenant.plan}

    if caller.tenant is not None:
        page = TenantPage([await rt.tenants.show(caller.tenant)] if cursor is None else [], None)
        found = [tenant for tenant in page.tenants if wanted(tenant)]
    else:
        found, reads = [], 0
        while len(found) < limit and reads < _MOST_READS:
            page = await rt.tenants.list(after=cursor, limit=limit - len(found))
            found += filter(wanted, page.tenants)
            cursor, reads = page.cursor, reads + 1
            if cursor is None:
                break
    return answer({"tenants": list(map(facts, found)), "cursor": page.cursor})


@router.post("", status_code=201, response_model=models.Tenant, responses=answers(409, also=_MADE_BEFORE))
async def create_tenant(
    request: Request, caller: Writes, tenant: models.NewTenant, idempotency_key: IdempotencyKey = None
) -> Response:
    """Create a tenant, ready to be used.

    With an `Idempotency-Key` and without an `id`, the id follows from the key: asked again it is the same
    tenant.
    """
    rt = desk(request).rt
    given = tenant.id
    if given is None and idempotency_key is not None:
        text = f"{caller.id}\0{idempotency_key}"
        given = f"t-{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"
    status = 201
    try:
        made = await rt.tenants.create(
            given,
            plan=tenant.billing_plan,
            name=tenant.name,
            owner=_owner(tenant),
            settings=tenant.settings,
            metadata=tenant.metadata,
            quotas=_quotas(tenant),
            shards=tenant.shards,
            actor=caller.actor,
        )
    except TenantExists:
        if given is None or given == tenant.id:
            raise
        made, status = await rt.tenants.show(given), 200
    return shown(made, status, **location(request, f"/admin/tenants/{made.id}"))


async def _show_directly(request: Request) -> Response:
    tenant_id = request.path_params["tenant_id"]
    rt = desk(request).rt
    known = identifying(request, "tenants:read", tenant_id)
    if known is None:
        check(await identified(request), "tenants:read", tenant_id)
        tenant = await rt.tenants.show(tenant_id)
    else:
        _, tenant = await rt.store.drive(together(known, rt.tenants.showing(tenant_id)))
    expected = request.headers.get("if-none-match")
    if expected is not None and matches(expected, tenant):
        return Response(status_code=304, headers={"ETag": etag_of(tenant)})
    return shown(tenant)


class Direct(APIRoute):
    """What is asked most: who asks and what is asked go to the server together, and nothing else is done. The
    endpoint's signature documents it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return _show_directly


direct = APIRouter(prefix="/admin/tenants", tags=["tenants"], route_class=Direct)


@direct.get("/{tenant_id}", response_model=models.Tenant, responses=answers(404, also=_SAME))
async def show_tenant(tenant_id: TenantPath, caller: Reads, if_none_match: IfNoneMatch = None) -> None:
    """Show a tenant: plan, owner, limits, settings, policies."""


@router.put("/{tenant_id}", response_model=models.Tenant, responses=answers(404, 409, 412, also=_SHOWN))
async def change_tenant(
    request: Request,
    tenant_id: TenantPath,
    caller: Writes,
    change: models.TenantChange,
    if_match: IfMatch = None,
) -> Response:
    """Change what is given, and show the tenant.

    With a plan or quotas, the plan's limits are taken as they are now. With `If-Match`, only if nobody else
    has changed it since.
    """
    check_own_record(tenant_id)
    rt = desk(request).rt
    revision = None
    if if_match is not None:
        revision = check_match(if_match, await rt.tenants.show(tenant_id))
    changed = await rt.tenants.update(
        tenant_id,
        plan=change.billing_plan,
        name=change.name,
        owner=_owner(change),
        settings=change.settings,
        metadata=change.metadata,
        quotas=_quotas(change),
        revision=revision,
        actor=caller.actor,
    )
    return shown(changed)


@router.delete(
    "/{tenant_id}",
    status_code=202,
    response_model=models.CommandState,
    responses=COMMAND | {412: problem(412)},
)
async def delete_tenant(
    request: Request,
    tenant_id: TenantPath,
    caller: Writes,
    why: Annotated[models.Why, Query(description="Why, for the audit trail.")] = "",
    wait: Wait = None,
    if_match: IfMatch = None,
) -> Response:
    """Close a tenant for good and remove all that it has.

    It is closed at once; a command, whose reference is answered, does the removing. Asked again it is the
    same command.
    """
    check_own_record(tenant_id)
    at = desk(request)
    if if_match is not None:
        check_match(if_match, await at.rt.tenants.show(tenant_id))
    ref = await at.rt.tenants.delete(tenant_id, why, actor=caller.actor)
    return await accepted(request, at, ref, wait)


@router.post("/{tenant_id}/suspend", response_model=models.Tenant, responses=answers(404, 409, also=_SHOWN))
async def suspend_tenant(
    request: Request,
    tenant_id: TenantPath,
    caller: Suspends,
    reason: Annotated[models.Reason | None, Body()] = None,
) -> Response:
    """Refuse a tenant's writes, quotas and access until it is resumed; reading and removing go on."""
    check_own_record(tenant_id)
    why = "" if reason is None else reason.why
    return shown(await desk(request).rt.tenants.suspend(tenant_id, why, actor=caller.actor))


@router.post("/{tenant_id}/resume", response_model=models.Tenant, responses=answers(404, 409, also=_SHOWN))
async def resume_tenant(request: Request, tenant_id: TenantPath, caller: Suspends) -> Response:
    """End a tenant's suspension."""
    check_own_record(tenant_id)
    return shown(await desk(request).rt.tenants.resume(tenant_id, actor=caller.actor))


def check_own_record(tenant_id: str) -> None:
    """Raises Problem for the tenant that has none: the configuration says what it may do."""
    if tenant_id == DEFAULT_TENANT:
        why = "the section tenant of the configuration says what it may use; it has no plan, and no bills"
        raise Problem(409, "default-tenant", "The tenant default has no record of its own", why)


def _owner(given: models.NewTenant | models.TenantChange) -> dict[str, str] | None:
    parts = {
        "id": given.owner_id,
        "name": given.owner_name,
        "email": given.owner_email,
        "organization": given.organization,
    }
    return {name: part for name, part in parts.items() if part is not None} or None


def _quotas(given: models.NewTenant | models.TenantChange) -> dict[str, int | None] | None:
    return None if given.quotas is None else {str(name): limit for name, limit in given.quotas.items()}
