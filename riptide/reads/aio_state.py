"""`rt.state`: the deployment's configuration, asynchronous."""

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from riptide.config import Settings
from riptide.config.document import Difference
from riptide.errors import RiptideError
from riptide.logger import get_logger
from riptide.state.live.configuration import Configuration
from riptide.state.live.services import Presence
from riptide.state.live.versions import History
from riptide.store.aio import AsyncStore
from riptide.streams.members import Member
from riptide.streams.message import Ref


class AsyncStateFace:
    """Methods mean what those of `StateFace` mean. What `on_change` is given may be asynchronous."""

    def __init__(self, store: AsyncStore, configuration: Configuration, presence: Presence) -> None:
        self._store, self._configuration, self._live = store, configuration, configuration.live
        self._presence = presence
        self._following: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self._heard = False
        self._log = get_logger("riptide.config")

    @property
    def version(self) -> str:
        return self._live.version

    @property
    def needs_restart(self) -> tuple[str, ...]:
        return self._live.restart

    def on_change(self, section: str, tell: Callable[[Any], Any]) -> Callable[[], None]:
        def told(now: Settings) -> None:
            answer = tell(getattr(now, section).model_copy())
            if inspect.isawaitable(answer):
                task = asyncio.ensure_future(self._finish(answer))
                self._telling.add(task)
                task.add_done_callback(self._telling.discard)

        return self._live.on_change([section], told)

    async def _finish(self, answer: Awaitable[Any]) -> None:
        try:
            await answer
        except Exception as error:  # noqa: BLE001 - nobody waits for it: it is told here or nowhere
            self._log.error("what on_change was given failed", error=str(error), exc_info=error)

    async def history(self) -> History:
        return await self._store.run(self._configuration.history())

    async def diff(self, before: int | None = None, after: int | None = None) -> list[Difference]:
        return await self._store.drive(self._configuration.diff(before, after))

    async def rollback(self, number: int | None = None) -> Ref:
        return await self._store.drive(self._configuration.rollback(number))

    async def apply(self, path: str | Path | None = None) -> Ref:
        return await self._store.drive(self._configuration.apply(path))

    async def apply_diff(self, path: str | Path | None = None) -> list[Difference]:
        return await self._store.drive(self._configuration.apply_diff(path))

    async def members(self) -> list[Member]:
        return await self._store.drive(self._configuration.members())

    def follow(self) -> None:
        """Follow the configuration from now on, if this process is to; `aconnect` calls it."""
        if self._live.follows and self._following is None:
            self._following = asyncio.ensure_future(self._follow())

    async def _follow(self) -> None:
        complained = False
        while True:
            try:
                await self._store.drive(self._presence.step())
                self._heard, complained = True, False
            except Exception as error:  # noqa: BLE001 - without this task no change would be heard of any more
                self._heard = False
                if not complained:
                    complained = True
                    trace = None if isinstance(error, RiptideError) else error
                    self._log.warning("cannot follow the configuration yet", error=str(error), exc_info=trace)
            await asyncio.sleep(self._presence.seconds)

    async def aclose(self) -> None:
        """Follow it no more; take this process off the list, if the server was there a moment ago."""
        if self._following is None:
            return
        self._following.cancel()
        await asyncio.gather(self._following, *self._telling, return_exceptions=True)
        self._following = None
        if self._heard:
            with contextlib.suppress(RiptideError):
                await self._store.run(self._presence.leave())
