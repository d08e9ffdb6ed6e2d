"""`rt.checkpoints`: the state in the blob store, asynchronous. The work is done in a thread."""

import asyncio
import threading
from collections.abc import Callable, Collection
from functools import partial
from typing import TypeVar

from riptide.config import Settings
from riptide.state.checkpoints.manifest import Manifest
from riptide.state.checkpoints.shelf import Shelf, nobody
from riptide.state.checkpoints.writing import Told
from riptide.state.restore.report import Report
from riptide.state.restore.restoring import restore
from riptide.tenants.registry.audit import check_actor

T = TypeVar("T")


class AsyncCheckpoints:
    """Methods mean what those of `Checkpoints` mean; one that is cancelled gives up soon."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._shelf = settings, Shelf(settings)

    async def create(
        self,
        kind: str = "manual",
        note: str = "",
        *,
        id: str | None = None,  # noqa: A002 - what it is called everywhere
        actor: str | None = None,
        told: Told = nobody,
    ) -> Manifest:
        """With an `id` it is written once, however often it is asked for."""
        work = partial(self._shelf.create, kind, note, id=id, actor=check_actor(actor))
        return await _stoppable(lambda stopped: work(told=told, stopped=stopped))

    async def problems(self) -> list[str]:
        return (await asyncio.to_thread(self._shelf.list))[1]

    async def list(self) -> list[Manifest]:
        return (await asyncio.to_thread(self._shelf.list))[0]

    async def show(self, checkpoint: str) -> Manifest:
        return await asyncio.to_thread(self._shelf.show, checkpoint)

    async def verify(self, checkpoint: str, *, told: Told = nobody) -> Manifest:
        return await asyncio.to_thread(self._shelf.verify, checkpoint, told)

    async def restore(
        self,
        checkpoint: str,
        *,
        tenants: Collection[str] | None = None,
        dry_run: bool = False,
        actor: str | None = None,
        told: Told = nobody,
    ) -> Report:
        work = partial(restore, self._settings, self._shelf, checkpoint, tenants=tenants, dry_run=dry_run)
        return await _stoppable(lambda stopped: work(actor=actor, told=told, stopped=stopped))


async def _stoppable(work: Callable[[Callable[[], bool]], T]) -> T:
    """A thread cannot be cancelled, but it asks."""
    stop = threading.Event()
    try:
        return await asyncio.to_thread(work, stop.is_set)
    finally:
        stop.set()
