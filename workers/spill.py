"""Carries out `spill`: sessions that were not used for long, moved to the blob store (DESIGN §7)."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

from commands.spill import Spill
from riptide.errors import Dead, UnknownTenant
from riptide.reads.context import Context
from riptide.state.spill.spilling import Spilling
from riptide.store.keys import Keys
from riptide.streams.job import Job


async def handle(batch: Sequence[Job], ctx: Context) -> None:
    """What is spilled stays so: a job that runs again goes on with the rest. A result tells of what was
    done."""
    settings = ctx.rt.settings
    spilling = Spilling(Keys(settings.cache.key_prefix), settings, asyncio.to_thread)
    for job in batch:
        command = cast(Spill, job.command)
        try:
            if command.what == "entries":
                raise Dead(
                    "entries of the cache are not spilled by this release: cache.eviction_policy lets them go"
                )
            done = await ctx.rt.store.drive(spilling.spill(job.tenant, command.keep_bytes, job.progress))
        except UnknownTenant as error:
            job.fail(Dead(str(error)))
        except Exception as error:  # noqa: BLE001 - the runtime decides by its kind
            job.fail(error)
        else:
            if not done.nothing:
                job.result = asdict(done)
                ctx.log.info("spilled", **job.result)
