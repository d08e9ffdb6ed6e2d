"""Carries out `reload`: a configuration, validated and switched everywhere (docs/live-configuration.md)."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import cast

from commands.reload import Reload
from riptide.clock import SystemClock
from riptide.errors import BlobError
from riptide.reads.checking import check_usable
from riptide.reads.context import Context
from riptide.state.blobs import open_blobs
from riptide.state.live.accepting import Accepting, Order
from riptide.state.live.offering import remove_old
from riptide.store.keys import Keys
from riptide.streams.job import Job
from riptide.streams.registry import load_models


async def handle(batch: Sequence[Job], ctx: Context) -> None:
    settings = ctx.settings
    accepting = Accepting(
        Keys(settings.cache.key_prefix),
        partial(open_blobs, settings.blobs),
        asyncio.to_thread,
        partial(check_usable, load_models(settings.workers.modules)),
        os.environ,
        SystemClock().now_ms,
    )
    for job in batch:
        command = cast(Reload, job.command)
        order = Order(job.ref.entry_id, command.blob, command.content_hash, command.origin or str(job.ref))
        try:
            job.result = await ctx.rt.store.drive(accepting.accept(order))
        except Exception as error:  # noqa: BLE001 - the runtime decides by its kind
            job.fail(error)
        else:
            ctx.log.info("configuration accepted", **job.result)
    with suppress(BlobError):  # the next one removes them
        await asyncio.to_thread(lambda: remove_old(open_blobs(settings.blobs), settings.cache.key_prefix))
