"""Carries out `invalidate`: when it is done, no read sees what was there before (docs/cache.md)."""

from collections.abc import Sequence
from typing import Any, cast

from commands.invalidate import Invalidate
from riptide.errors import Dead, InvalidInput, MultiTenancyDisabled, UnknownTenant
from riptide.reads.aio_cache import AsyncCache
from riptide.streams.job import Job


async def handle(batch: Sequence[Job], ctx: Any) -> None:
    """Each job ends by itself: a repeated or failed one does no harm to the others."""
    for job in batch:
        try:
            await invalidate(ctx.cache, job.tenant, cast(Invalidate, job.command))
        except (InvalidInput, MultiTenancyDisabled, UnknownTenant) as error:
            job.fail(Dead(str(error)))
        except Exception as error:  # noqa: BLE001 - the runtime decides by its kind
            job.fail(error)


async def invalidate(cache: AsyncCache, tenant: str | None, command: Invalidate) -> None:
    if command.all:
        await cache.clear(tenant=tenant)
    elif command.whole_namespace:
        await cache.invalidate_namespace(command.namespace, tenant=tenant)
    else:
        await cache.invalidate(
            keys=command.keys, tags=command.tags, tenant=tenant, namespace=command.namespace
        )
