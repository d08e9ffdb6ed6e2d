"""The asynchronous face: `async with await riptide.aconnect() as rt`."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from commands import Command
from riptide.config import Loaded, Settings
from riptide.errors import PublishUnknown
from riptide.reads.aio_billing import AsyncBillingFace
from riptide.reads.aio_cache import AsyncCache
from riptide.reads.aio_checkpoints import AsyncCheckpoints
from riptide.reads.aio_flushing import AsyncFlushing
from riptide.reads.aio_health import AsyncHealthFace
from riptide.reads.aio_keys import AsyncKeysFace
from riptide.reads.aio_quotas import AsyncQuotasFace
from riptide.reads.aio_sessions import AsyncSessionsFace
from riptide.reads.aio_state import AsyncStateFace
from riptide.reads.aio_tenants import AsyncTenants
from riptide.reads.aio_usage import AsyncUsageFace
from riptide.reads.assembly import Parts, assemble
from riptide.reads.exporting import Export
from riptide.reads.health import Component, Health
from riptide.reads.metrics import Metrics
from riptide.reads.outage import in_use, say_what_is_off
from riptide.reads.sync_client import to_ref
from riptide.store.aio import AsyncStore, open_async_store
from riptide.streams.job import Progress
from riptide.streams.members import Member
from riptide.streams.message import Ref
from riptide.streams.publishing import Outgoing
from riptide.streams.resting import Pause
from riptide.streams.status import Status, cancel, status, wait
from riptide.tenants.quotas.charges import Charges


class AsyncRipTide:
    """What a service holds. Belongs to one event loop. Methods mean what those of `RipTide` mean."""

    def __init__(self, parts: Parts, store: AsyncStore) -> None:
        self.settings = parts.settings
        self.store = store
        self.cache = AsyncCache(
            store,
            parts.keys,
            parts.settings.cache,
            parts.known,
            ring=parts.ring,
            publisher=parts.reporter,
            spill=parts.spill,
            in_use=lambda: self.in_use,
        )
        export = Export(parts.keys, parts.registry, parts.known, self.cache.core)
        self.tenants = AsyncTenants(store, parts.registry, export)
        charges = Charges(parts.quotas, parts.settings.api)
        self._flushing = AsyncFlushing(store, parts.settings.api, parts.usage.buffer, charges)
        self.quotas = AsyncQuotasFace(store, parts.quotas, charges=charges, wake=self._flushing.wake)
        self.usage = AsyncUsageFace(store, parts.usage, self._flushing)
        self.billing = AsyncBillingFace(store, parts.billing)
        self.keys = AsyncKeysFace(store, parts.data_keys)
        self.sessions = AsyncSessionsFace(store, parts.sessions)
        self.checkpoints = AsyncCheckpoints(parts.settings)
        self.ring = parts.ring
        self.state = AsyncStateFace(store, parts.configuration, parts.presence)
        self.metrics = Metrics(parts)
        parts.live.on_change(("cache", "tenant"), lambda _: self.cache.core.renew_caps())
        self._keys = parts.keys
        self._publisher = parts.publisher
        self._resting = parts.resting
        self._health = AsyncHealthFace(store, parts, self.cache.waiting)

    @property
    def in_use(self) -> bool:
        """Whether the service's own calls should go through RipTide: False sends them on their old path.

        It is `use_persistence_layer` (and `enable_persistence`), which may change while the process runs.
        """
        return in_use(self.settings)

    async def health(self) -> Health:
        """How everything stands that this process needs, at most a second old. Raises nothing."""
        return await self._health.look()

    def watch(self, name: str, tell: Callable[[], Component]) -> None:
        """Let `health` have a further component, by what `tell()` answers."""
        self._health.watch(name, tell)

    async def publish(
        self,
        command: Command,
        *,
        tenant: str | None = None,
        key: str | None = None,
        trace: str | None = None,
        delay: float | timedelta | None = None,
        at: datetime | float | None = None,
    ) -> Ref:
        return await self.store.drive(
            self._publisher.publish(Outgoing(command, tenant, trace, delay, at), key)
        )

    async def publish_many(self, commands: Iterable[Outgoing]) -> list[Ref]:
        return await self.store.drive(self._publisher.publish_many(commands))

    async def publish_again(self, unknown: PublishUnknown) -> list[Ref]:
        flow = self._publisher.publish_again(unknown)
        del unknown  # the traceback of the next one would keep it
        return await self.store.drive(flow)

    async def status(self, ref: Ref | str) -> Status:
        return await self.store.run(status(self._keys, to_ref(ref)))

    async def wait(
        self, ref: Ref | str, seconds: float, on_progress: Callable[[Progress], Any] | None = None
    ) -> Status:
        return await self.store.drive(wait(self._keys, to_ref(ref), seconds, on_progress))

    async def cancel(self, ref: Ref | str) -> Status:
        keep = self.settings.streams.result_ttl_seconds
        return await self.store.run(cancel(self._keys, to_ref(ref), keep))

    async def pause(self, kind: str, why: str = "") -> bool:
        return await self.store.run(self._resting.pause(kind, why))

    async def resume(self, kind: str) -> bool:
        return await self.store.drive(self._resting.resume(kind))

    async def paused(self) -> dict[str, Pause]:
        return await self.store.run(self._resting.paused())

    async def workers(self) -> list[Member]:
        return await self.store.drive(self._resting.members())

    async def quiet(self, worker: str) -> Member:
        return await self.store.drive(self._resting.quiet(worker))

    async def end_quiet(self, worker: str) -> bool:
        return await self.store.drive(self._resting.end_quiet(worker))

    async def aclose(self) -> None:
        try:
            if self.metrics.running:
                await asyncio.to_thread(self.metrics.close)
            await self._health.aclose()
            await self.state.aclose()
            await self._flushing.aclose()
            await self.cache.aclose()
        finally:
            await self.store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()


async def aconnect(
    url: str | None = None,
    config: Settings | Loaded | str | Path | None = None,
    *,
    role: str = "service",
) -> AsyncRipTide:
    """Open the asynchronous face; arguments and errors as for `connect`. `role` is what `riptide workers`
    shows of this process."""
    parts = assemble(url, config, blocking=asyncio.to_thread, role=role)
    rt = AsyncRipTide(parts, open_async_store(parts.settings, guarded=True))
    say_what_is_off(parts.settings)
    rt.state.follow()
    return rt
