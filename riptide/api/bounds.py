"""What one request may take: bytes, time, a place among the others. Pure ASGI, before everything else."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from riptide.api.errors import of_status
from riptide.api.problems import Problem
from riptide.config.models.surface import ApiSettings

#: Answered however busy it is: whoever watches must not take it for dead.
ALWAYS = frozenset({"/health/live", "/health/ready"})
_CLOSE = {"Connection": "close"}
# Answers are the caller's alone, and not every cache on the way knows that X-API-Key says so.
_PRIVATE = (b"cache-control", b"no-store")
# For so long nobody who sends a body has to give way to others.
_UNDISTURBED_SECONDS = 0.5


class Bounds:
    """Refuses what is too large before it is read, and while it is; what takes too long; and what is too much
    at a time."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app, self._settings = app, settings
        self._working = 0
        # Those that wait for their body: since when.
        self._receiving: dict[asyncio.Timeout, float] = {}

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
        full = self._working >= settings.max_requests and _path(scope) not in ALWAYS
        if full and not self._slowest_gives_way():
            return Problem(503, "too-busy", "Too many requests at a time", headers={"Retry-After": "1"})
        return None

    @property
    def _allowed_body(self) -> str:
        return f"a body may have {self._settings.max_body_bytes:,} bytes"

    def _slowest_gives_way(self) -> bool:
        """Whether one did: bodies that do not come, of whoever it is, must not take all places."""
        slowest = min(self._receiving, key=self._receiving.__getitem__, default=None)
        now = asyncio.get_running_loop().time()
        if slowest is None or now - self._receiving[slowest] < _UNDISTURBED_SECONDS:
            return False
        del self._receiving[slowest]
        slowest.reschedule(now)
        return True

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def told(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                timer.reschedule(None)  # how slowly it is taken, is the connection's business
                message = _private(message)
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
        began = asyncio.get_running_loop().time()

        async def bounded() -> Message:
            nonlocal got, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(began + settings.body_timeout_seconds) as patience:
                    self._receiving[patience] = began
                    try:
                        message = await receive()
                    finally:
                        self._receiving.pop(patience, None)
            except TimeoutError:
                raise HTTPException(408, headers=_CLOSE) from None
            got += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if got > settings.max_body_bytes:
                raise HTTPException(413, headers=_CLOSE)
            return message

        return bounded


def _private(message: Message) -> Message:
    headers = message.get("headers", ())
    if any(name == _PRIVATE[0] for name, _ in headers):
        return message
    return {**message, "headers": [*headers, _PRIVATE]}


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def headers_too_large(settings: ApiSettings) -> Problem:
    allowed = f"line and headers may have {settings.max_header_bytes:,} bytes"
    return Problem(431, "headers-too-large", "The headers are too large", allowed, _CLOSE)


async def send_problem(send: Send, problem: Problem) -> None:
    body = problem.body()
    await send(
        {"type": "http.response.start", "status": problem.status, "headers": problem.raw_headers(body)}
    )
    await send({"type": "http.response.body", "body": body})
