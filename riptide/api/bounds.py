"""What one request may take: bytes, time, a place among the others. Pure ASGI, before everything else."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from riptide.api.errors import of_status
from riptide.api.problems import Problem
from riptide.config.models.surface import ApiSettings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Answered however busy it is: whoever watches must not take it for dead.
ALWAYS = frozenset({"/health/live", "/health/ready"})
_CLOSE = {"Connection": "close"}


class Bounds:
    """Refuses what is too large before it is read, and while it is; what takes too long; and what is too much
    at a time."""

    def __init__(self, app: App, settings: ApiSettings) -> None:
        self._app, self._settings = app, settings
        self._working = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif (refusal := self._refusal(scope)) is not None:
            await send_problem(send, refusal)
        else:
            self._working += 1
            try:
                await self._answer(scope, receive, send)
            finally:
                self._working -= 1

    def _refusal(self, scope: Scope) -> Problem | None:
        settings = self._settings
        if len(scope["raw_path"]) + len(scope["query_string"]) > settings.max_query_bytes:
            allowed = f"path and query may have {settings.max_query_bytes:,} bytes"
            return Problem(414, "query-too-long", "Path and query are too long", allowed, _CLOSE)
        size, length = 0, b""
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            if name == b"content-length":
                length = value
        if size > settings.max_header_bytes:
            return headers_too_large(settings)
        # More digits than any size has are refused unread.
        if length.isdigit() and (len(length) > 15 or int(length) > settings.max_body_bytes):
            return of_status(413, self._allowed_body, _CLOSE)
        if self._working >= settings.max_requests and _path(scope) not in ALWAYS:
            return Problem(503, "too-busy", "Too many requests at a time", headers={"Retry-After": "1"})
        return None

    @property
    def _allowed_body(self) -> str:
        return f"a body may have {self._settings.max_body_bytes:,} bytes"

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def told(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                timer.reschedule(None)  # how slowly it is taken, is the connection's business
            await send(message)

        try:
            async with asyncio.timeout(self._settings.request_timeout_seconds) as timer:
                await self._app(scope, self._bounded(receive), told)
        except TimeoutError:
            if begun or not timer.expired():
                raise
            await send_problem(send, Problem(504, "took-too-long", "There was no answer in time"))

    def _bounded(self, receive: Receive) -> Receive:
        """What it raises passes through FastAPI as it is."""
        settings = self._settings
        got, complete = 0, False
        ends_at = asyncio.get_running_loop().time() + settings.body_timeout_seconds

        async def bounded() -> Message:
            nonlocal got, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(ends_at):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, headers=_CLOSE) from None
            got += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if got > settings.max_body_bytes:
                raise HTTPException(413, headers=_CLOSE)
            return message

        return bounded


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def headers_too_large(settings: ApiSettings) -> Problem:
    allowed = f"line and headers may have {settings.max_header_bytes:,} bytes"
    return Problem(431, "headers-too-large", "The headers are too large", allowed, _CLOSE)


async def send_problem(send: Send, problem: Problem) -> None:
    start = {"type": "http.response.start", "status": problem.status, "headers": problem.raw_headers()}
    await send(start)
    await send({"type": "http.response.body", "body": problem.body()})
