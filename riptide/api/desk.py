"""What the endpoints of one application work with."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi import Request

from commands import Command
from riptide.reads.aio_client import AsyncRipTide
from riptide.store.keys import Keys
from riptide.streams.message import Ref
from riptide.streams.status import Status

_PART_WAITED = 0.8  # the answer has to be there before the request's time is over
_PART_WAITING = 0.5  # of the requests that are worked on: who waits leaves room for others


@dataclass(frozen=True, slots=True)
class Desk:
    """`models` are the commands known here; `stopping` is set when the process begins to stop."""

    rt: AsyncRipTide
    keys: Keys
    models: Mapping[str, type[Command]]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: set[asyncio.Future[Status]] = field(default_factory=set)

    async def wait(self, ref: Ref, seconds: float) -> Status:
        """The command's status when it is final, the time is over, or this process stops; at once where too
        many wait already."""
        api = self.rt.settings.api
        most = min(api.max_wait_seconds, api.request_timeout_seconds * _PART_WAITED)
        if len(self.waiting) >= max(1, api.max_requests * _PART_WAITING):
            most = 0.0
        waiting = asyncio.ensure_future(self.rt.wait(ref, min(seconds, most)))
        self.waiting.add(waiting)
        stopping = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.result() if waiting.done() else await self.rt.status(ref)
        finally:
            self.waiting.discard(waiting)
            waiting.cancel()
            stopping.cancel()


def desk(request: Request) -> Desk:
    found: Desk = request.app.state.desk
    return found
