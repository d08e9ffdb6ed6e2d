"""`/admin/state`: who lives, the configuration, checkpoints and the way back."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response

from commands import Checkpoint, Restore
from riptide.api import models
from riptide.api.access.caller import Caller
from riptide.api.answers import accepted, answer, moment
from riptide.api.desk import desk
from riptide.api.documented import PUBLISHED, answers
from riptide.api.endpoints.commands import publish
from riptide.api.parameters import CHECKPOINT, CheckpointId, IdempotencyKey, Limit, Wait
from riptide.api.permits import permit
from riptide.cache.spill.figures import EntryFigures
from riptide.state.spill.figures import SpillFigures
from riptide.streams.members import Member

router = APIRouter(prefix="/admin/state", tags=["state"])

Reads = Annotated[Caller, permit("state:read")]
Writes = Annotated[Caller, permit("state:write")]
Restores = Annotated[Caller, permit("state:restore")]
Cursor = Annotated[str | None, Query(pattern=CHECKPOINT, description="Go on where a page ended.")]


@router.get("/current", response_model=models.CurrentState, responses=answers())
async def current_state(request: Request, caller: Reads) -> Response:
    """Show every process, the configuration's version, what sessions and entries take, what is spilled, and
    the newest checkpoint."""
    rt = desk(request).rt
    members, history, sessions, entries, checkpoints = await asyncio.gather(
        rt.state.members(),
        rt.state.history(),
        rt.sessions.figures(),
        rt.cache.figures(),
        rt.checkpoints.list(),
    )
    settings = rt.settings
    found = {
        "members": list(map(_member, members)),
        "configuration": {
            "current": history.current or None,
            "own": rt.state.version or None,
            "needs_restart": rt.state.needs_restart,
        },
        "memory": {
            "sessions": _held(sessions.sessions, sessions.memory_bytes, settings.state.session_memory_bytes),
            "entries": _held(entries.entries, entries.memory_bytes, settings.cache.max_memory_bytes),
        },
        "spill": {"sessions": _spilled(sessions), "entries": _spilled(entries)},
        "last_checkpoint": checkpoints[0] if checkpoints else None,
    }
    return answer(found)


@router.post("/reload", **PUBLISHED)
async def reload_configuration(request: Request, caller: Writes, wait: Wait = None) -> Response:
    """Offer the configuration file of this process's host, as it is now, to all processes.

    A worker checks it; what it accepts every process has within a second.
    """
    found = desk(request)
    return await accepted(request, found, await found.rt.state.apply(), wait)


@router.get("/checkpoints", response_model=models.Checkpoints, responses=answers())
async def list_checkpoints(
    request: Request, caller: Reads, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """List the checkpoints, the newest first. One that is being written is not among them."""
    rt = desk(request).rt
    found = [one for one in await rt.checkpoints.list() if cursor is None or one.id < cursor]
    page = found[:limit]
    return answer(
        {
            "checkpoints": page,
            "problems": await rt.checkpoints.problems(),
            "cursor": page[-1].id if len(found) > limit else None,
        }
    )


@router.post("/checkpoint", **PUBLISHED)
async def write_checkpoint(
    request: Request,
    caller: Writes,
    wish: Annotated[models.CheckpointWish | None, Body()] = None,
    wait: Wait = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Have a worker write a checkpoint, while everything goes on. Its result names it."""
    given = wish or models.CheckpointWish()
    command = Checkpoint(kind=given.kind, note=given.note)
    return await publish(request, command, None, wait, key=idempotency_key)


@router.post("/restore", **PUBLISHED)
async def restore_from(
    request: Request,
    caller: Restores,
    wish: models.RestoreWish,
    wait: Wait = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Bring back what a checkpoint holds, and usage that was archived after it."""
    return await _restore(request, wish.checkpoint, wish, wait, idempotency_key)


@router.post("/restore/{checkpoint}", **PUBLISHED)
async def restore_checkpoint(
    request: Request,
    checkpoint: CheckpointId,
    caller: Restores,
    scope: Annotated[models.RestoreScope | None, Body()] = None,
    wait: Wait = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """The same, named in the path."""
    return await _restore(request, checkpoint, scope or models.RestoreScope(), wait, idempotency_key)


async def _restore(
    request: Request, checkpoint: str, scope: models.RestoreScope, wait: float | None, key: str | None
) -> Response:
    await desk(request).rt.checkpoints.show(checkpoint)  # what is not there is told now, and not by a worker
    named = {} if scope.tenants is None else {"tenants": scope.tenants}
    command = Restore(checkpoint=checkpoint, dry_run=scope.dry_run, **named)
    return await publish(request, command, None, wait, key=key)


def _held(items: int, memory_bytes: int, cap_bytes: int) -> dict[str, int]:
    return {"items": items, "memory_bytes": memory_bytes, "cap_bytes": cap_bytes}


def _spilled(figures: SpillFigures | EntryFigures) -> dict[str, float]:
    return {name: getattr(figures, name) for name in models.Spilled.model_fields}


def _member(member: Member) -> dict[str, Any]:
    return {
        "name": member.name,
        "process": member.process,
        "role": member.role,
        "host": member.host,
        "pid": member.pid,
        "version": member.version,
        "config": member.config or None,
        "commands": member.commands,
        "running": member.running,
        "position": member.position,
        "started_at": moment(member.started_ms),
        "silent_seconds": round(member.silent_seconds, 3),
        "quiet": member.quiet_ms is not None,
    }
