"""A server's start and end: the client is there before the app begins, and goes after it has ended."""

from collections.abc import Awaitable, Callable
from typing import Any

_ENDS = {"lifespan.startup.failed", "lifespan.shutdown.complete", "lifespan.shutdown.failed"}


async def run_lifespan(
    app: Callable[..., Awaitable[None]],
    scope: Any,
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
    start: Callable[[], Awaitable[Any]],
    end: Callable[[], Awaitable[None]],
) -> None:
    """Pass the server's messages to `app`. One that knows no lifespan, as Django, needs none."""
    message = await receive()
    try:
        await start()
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        raise
    told, pending = [], [message]

    async def receiving() -> Any:
        return pending.pop() if pending else await receive()

    async def sending(message: Any) -> None:
        told.append(message["type"])
        if message["type"] in _ENDS:
            await end()
        await send(message)

    try:
        await app(scope, receiving, sending)
    except Exception:
        if told:
            raise
    if told:
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()  # the wish to shut down
    await end()
    await send({"type": "lifespan.shutdown.complete"})
