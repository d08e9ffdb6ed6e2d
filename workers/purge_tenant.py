"""Carries out `purge_tenant`: every key of a tenant, removed (docs/tenants.md)."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache, partial
from typing import cast

from commands.purge_tenant import PurgeTenant
from riptide.cache.spill.stub import PREFIX as ENTRIES
from riptide.errors import Dead
from riptide.names import DEFAULT_TENANT
from riptide.reads.context import Context
from riptide.state.blobs import open_blobs
from riptide.state.restore.purged import remembering
from riptide.state.spill.blob import PREFIX as SESSIONS
from riptide.store.keys import Keys
from riptide.store.operation import Flow
from riptide.streams.job import Job
from riptide.streams.registry import load_models
from riptide.tenants.accounts.orphans import Orphans
from riptide.tenants.purge.commands import Own
from riptide.tenants.purge.ending import Ending
from riptide.tenants.purge.mark import without_mark
from riptide.tenants.purge.purging import Destroy, Order, Purging

ACTOR = "worker:purge_tenant"


async def handle(batch: Sequence[Job], ctx: Context) -> None:
    settings = ctx.rt.settings
    kinds = load_models(settings.workers.modules)
    keys = Keys(settings.cache.key_prefix)
    destroy = remembering(open_blobs(settings.blobs), keys.prefix, _destroying(ctx, keys), asyncio.to_thread)
    purging = Purging(keys, settings, kinds, asyncio.to_thread, destroy)
    for job in batch:
        try:
            removed = await ctx.rt.store.drive(purging.purge(_order(job)))
        except Exception as error:  # noqa: BLE001 - the runtime decides by its kind
            job.fail(error)
        else:
            value = {"purged": False} if removed is None else {"purged": True, **asdict(removed)}
            job.effect = Ending(value, settings.streams.result_ttl_seconds)


def _destroying(ctx: Context, keys: Keys) -> Destroy:
    blobs = cache(partial(open_blobs, ctx.rt.settings.blobs))
    spilled = [
        Orphans(prefix, listed, keys, blobs, asyncio.to_thread)
        for prefix, listed in ((SESSIONS, keys.session_blobs), (ENTRIES, keys.entry_blobs))
    ]

    def destroy(tenant: str, incarnation: str) -> Flow[int]:
        """Its data keys, and what is in the blob store of its sessions and entries."""
        count = yield from ctx.rt.ring.destroy(tenant, incarnation)
        for orphans in spilled:
            yield from orphans.remove_all(tenant, incarnation)
        return count

    return destroy


def _order(job: Job) -> Order:
    if job.tenant is None or job.tenant == DEFAULT_TENANT:
        raise Dead(f"the tenant {DEFAULT_TENANT} always exists: it cannot be purged")
    command = cast(PurgeTenant, job.command)
    incarnation = without_mark(command.incarnation)
    return Order(job.tenant, incarnation, ACTOR, command.note, Own(job.entry.id, job.ref), job.progress)
