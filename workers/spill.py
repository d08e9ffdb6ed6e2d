"""Carries out `spill`: sessions or entries not used for long, moved to the blob store (docs/sessions.md)."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import cast

from commands.spill import Spill
from riptide.cache.spill.spilling import Outcome as EntryOutcome
from riptide.cache.spill.spilling import Spilling as EntrySpilling
from riptide.errors import Dead, UnknownTenant
from riptide.reads.context import Context
from riptide.state.blobs import open_blobs
from riptide.state.spill.spilling import Outcome, Spilling
from riptide.store.keys import Keys
from riptide.streams.job import Job


async def handle(batch: Sequence[Job], ctx: Context) -> None:
    """What is spilled stays so: a job that runs again goes on with the rest. A result tells of what was
    done."""
    settings = ctx.rt.settings
    keys = Keys(settings.cache.key_prefix)
    sessions = Spilling(keys, settings, asyncio.to_thread)
    entries = EntrySpilling(keys, settings, partial(open_blobs, settings.blobs), asyncio.to_thread)
    for job in batch:
        command = cast(Spill, job.command)
        try:
            if command.what == "entries" and not settings.cache.enable_spill:
                raise Dead("cache.enable_spill is off: entries of the cache are not spilled")
            spilling: Spilling | EntrySpilling = entries if command.what == "entries" else sessions
            done: Outcome | EntryOutcome = await ctx.rt.store.drive(
                spilling.spill(job.tenant, command.keep_bytes, job.progress)
            )
        except UnknownTenant as error:
            job.fail(Dead(str(error)))
        except Exception as error:  # noqa: BLE001 - the runtime decides by its kind
            job.fail(error)
        else:
            if not done.nothing:
                job.result = asdict(done)
                ctx.log.info("spilled", **job.result)
