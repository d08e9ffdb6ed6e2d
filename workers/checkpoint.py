"""Carries out `checkpoint`: the state, written to the blob store (docs/checkpoints.md)."""

from collections.abc import Sequence
from typing import cast

from commands.checkpoint import Checkpoint
from riptide.errors import Dead, InvalidInput
from riptide.reads.context import Context
from riptide.state.checkpoints.names import id_of_command
from riptide.streams.job import Job


async def handle(batch: Sequence[Job], ctx: Context) -> None:
    for job in batch:
        try:
            job.result = await _write(job, ctx)
        except InvalidInput as error:
            job.fail(Dead(str(error)))
        except Exception as error:  # noqa: BLE001 - the runtime decides by its kind
            job.fail(error)


async def _write(job: Job, ctx: Context) -> dict[str, object]:
    command = cast(Checkpoint, job.command)
    if command.scope == "all":
        raise InvalidInput("scope 'all': this release writes no cache entries; take 'state'")
    name = id_of_command(str(job.ref), int(job.message.first.partition("-")[0]))
    manifest = await ctx.rt.checkpoints.create(
        command.kind, command.note, id=name, actor=f"command:{job.ref}", told=job.progress
    )
    return {"checkpoint": manifest.id, "bytes": manifest.size, "seconds": manifest.seconds}
