"""With `enable_persistence` off there is no server: whatever is sent raises PersistenceOff."""

import asyncio
from collections.abc import Sequence
from typing import Any

from riptide.errors import PersistenceOff
from riptide.store.wire import Args

_WHY = "persistence is switched off (enable_persistence, ENABLE_PERSISTENCE), so nothing was done"


class OffTransport:
    def send(self, _args: Args) -> Any:
        raise PersistenceOff(_WHY)

    def send_all(self, _commands: Sequence[Args]) -> list[Any]:
        raise PersistenceOff(_WHY)

    def close(self) -> None: ...


class AsyncOffTransport:
    async def send(self, _args: Args) -> Any:
        await asyncio.sleep(0)  # as everywhere: whoever asks again and again keeps nobody else waiting
        raise PersistenceOff(_WHY)

    async def send_all(self, _commands: Sequence[Args]) -> list[Any]:
        await asyncio.sleep(0)
        raise PersistenceOff(_WHY)

    async def close(self) -> None: ...
