"""`/admin/cache`: statistics, warming, invalidating."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from commands import Invalidate, Warm
from riptide.api.access.caller import Caller
from riptide.api.answers import answer
from riptide.api.desk import desk
from riptide.api.documented import PUBLISHED, answers
from riptide.api.endpoints.commands import body_of, check_reach, publish, read_command
from riptide.api.parameters import IdempotencyKey, TenantQuery, Wait
from riptide.api.permits import permit
from riptide.cache.access.statistics import Statistics

router = APIRouter(prefix="/admin/cache", tags=["cache"])

Writes = Annotated[Caller, permit("cache:write", of="tenant")]


@router.get("/stats", response_model=Statistics, responses=answers(404, 409))
async def cache_statistics(
    request: Request,
    tenant: TenantQuery,
    caller: Annotated[Caller, permit("cache:read", of="tenant")],
) -> Response:
    """Show what a tenant's entries take, and what all processes that read and write them have reported.

    Rates and times are those of the last five minutes and of the one that goes on.
    """
    return answer(await desk(request).rt.cache.statistics(tenant))


@router.post("/warm", openapi_extra=body_of(Warm), **PUBLISHED)
async def warm_cache(
    request: Request,
    tenant: TenantQuery,
    caller: Writes,
    wait: Wait = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Have workers load entries before anybody asks for them."""
    command = await read_command(request, Warm)
    check_reach(caller, command)
    return await publish(request, command, tenant, wait, key=idempotency_key)


@router.post("/invalidate", openapi_extra=body_of(Invalidate), **PUBLISHED)
async def invalidate_cache(
    request: Request,
    tenant: TenantQuery,
    caller: Writes,
    wait: Wait = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Have entries of a tenant made invalid: by key, by tag, a whole namespace, or all there is."""
    command = await read_command(request, Invalidate)
    return await publish(request, command, tenant, wait, key=idempotency_key)


@router.post("/clear", **PUBLISHED)
async def clear_cache(
    request: Request,
    tenant: TenantQuery,
    caller: Writes,
    wait: Wait = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Have all entries of a tenant made invalid."""
    return await publish(request, Invalidate(all=True), tenant, wait, key=idempotency_key)
