"""What a handler is given besides its jobs."""

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from riptide.cache.access.counting import AccessCounting
from riptide.cache.loaders.registry import Loaders, open_loaders
from riptide.config import Settings
from riptide.logger import get_logger
from riptide.reads.aio_client import AsyncRipTide
from riptide.store.keys import Keys
from riptide.tenants.usage.counting import Counting


@dataclass(frozen=True, slots=True)
class Context:
    """`rt` is the asynchronous face, for what a handler reads, writes and publishes."""

    rt: AsyncRipTide
    loaders: Loaders
    log: Any
    counting: Counting
    accesses: AccessCounting

    @property
    def settings(self) -> Settings:
        return self.rt.settings

    @property
    def cache(self) -> Any:
        return self.rt.cache

    async def aclose(self) -> None:
        await self.loaders.aclose()
        await self.rt.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()


def make_context(rt: AsyncRipTide) -> Context:
    """Raises ConfigError if a module of `workers.modules` cannot be used."""
    loaders = open_loaders(rt.settings.cache, rt.settings.workers.modules)
    keys = Keys(rt.settings.cache.key_prefix)
    accesses = AccessCounting(keys, rt.settings.tenant, rt.settings.cache)
    return Context(rt, loaders, get_logger("riptide.handler"), Counting(keys), accesses)
