"""The asynchronous face: `async with await riptide.aconnect() as rt`."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from commands import Command
from riptide.config import Settings
from riptide.errors import PublishUnknown
from riptide.reads.aio_cache import AsyncCache
from riptide.reads.assembly import Parts, assemble
from riptide.reads.sync_client import to_ref
from riptide.store.aio import AsyncStore, open_async_store
from riptide.streams.message import Ref
from riptide.streams.publishing import Outgoing
from riptide.streams.status import Status, status, wait


class AsyncRipTide:
    """What a service holds. Belongs to one event loop. Methods mean what those of `RipTide` mean."""

    def __init__(self, parts: Parts, store: AsyncStore) -> None:
        self.settings = parts.settings
        self.store = store
        self.cache = AsyncCache(store, parts.keys, parts.settings.cache, parts.shards)
        self._keys = parts.keys
        self._publisher = parts.publisher

    async def publish(
        self, command: Command, *, tenant: str | None = None, key: str | None = None, trace: str | None = None
    ) -> Ref:
        return await self.store.drive(self._publisher.publish(Outgoing(command, tenant, trace), key))

    async def publish_many(self, commands: Iterable[Outgoing]) -> list[Ref]:
        return await self.store.drive(self._publisher.publish_many(commands))

    async def publish_again(self, unknown: PublishUnknown) -> list[Ref]:
        return await self.store.drive(self._publisher.publish_again(unknown))

    async def status(self, ref: Ref | str) -> Status:
        return await self.store.run(status(self._keys, to_ref(ref)))

    async def wait(self, ref: Ref | str, seconds: float) -> Status:
        return await self.store.drive(wait(self._keys, to_ref(ref), seconds))

    async def aclose(self) -> None:
        await self.cache.aclose()
        await self.store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()


async def aconnect(url: str | None = None, config: Settings | str | Path | None = None) -> AsyncRipTide:
    """Open the asynchronous face; arguments and errors as for `connect`."""
    parts = assemble(url, config)
    return AsyncRipTide(parts, open_async_store(parts.settings))
