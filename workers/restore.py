"""Carries out `restore`: the state, read back from a checkpoint (docs/checkpoints.md). Done again, it changes
nothing."""

from collections.abc import Sequence
from typing import cast

from commands.restore import Restore
from riptide.errors import BlobNotFound, Damaged, Dead, InvalidInput
from riptide.reads.context import Context
from riptide.streams.job import Job


async def handle(batch: Sequence[Job], ctx: Context) -> None:
    for job in batch:
        command = cast(Restore, job.command)
        try:
            report = await ctx.rt.checkpoints.restore(
                command.checkpoint,
                tenants=command.tenants or None,
                dry_run=command.dry_run,
                actor=f"command:{job.ref}",
                told=job.progress,
            )
            job.result = report.facts()
        except (InvalidInput, Damaged, BlobNotFound) as error:
            job.fail(Dead(str(error)))
        except Exception as error:  # noqa: BLE001 - the runtime decides by its kind
            job.fail(error)
