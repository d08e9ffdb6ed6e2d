"""For ASGI: FastAPI, Starlette, Litestar, Django."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from pathlib import Path
from typing import Any

from riptide.api.middleware.admission import Admission, Options
from riptide.api.middleware.answers import Refused, head_of, rate_fields
from riptide.api.middleware.context import DEFAULT_OPERATION, TenantRequest, enter, leave
from riptide.api.middleware.lifespan import run_lifespan
from riptide.api.middleware.metering import Meter
from riptide.config import Loaded, Settings
from riptide.reads.aio_client import AsyncRipTide, aconnect

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Their responses have no body, whatever the app sends.
_BODILESS = frozenset({204, 304})
_POLICY_VIOLATION = 1008


class TenantMiddleware:
    """Lets requests pass that may; counts what they used. One for an event loop."""

    def __init__(
        self,
        app: App,
        *,
        rt: AsyncRipTide | None = None,
        config: Settings | Loaded | str | Path | None = None,
        keys: bool | None = None,
        tenant_of: Callable[[Scope], Any] | None = None,
        operation: str | Callable[[Scope], str] = DEFAULT_OPERATION,
        exempt: Collection[str] = (),
        lease: bool | None = None,
    ) -> None:
        """Without `rt` it opens one of its own by `config`, as `aconnect` does, and closes it at the end.

        Who calls is told by API keys and tokens (the default), or by the host: `tenant_of(scope)` answers the
        caller's tenant, or None for somebody who has none; it may be asynchronous. With `keys=False` and
        without it, X-Tenant-ID is believed: for what stands behind a gateway that checks it. Usage is counted
        by `operation`, a name or what answers one. Paths in `exempt` need no tenant, nor do those under one
        that ends with `/`. `lease` wins over `api.middleware_leases`. Raises InvalidInput.
        """
        self._app, self._config = app, config
        self._options = Options(keys, tenant_of, operation, exempt, lease)
        self._rt, self._own = rt, rt is None
        self._admission = None if rt is None else Admission(rt, self._options)
        self._opening: asyncio.Lock | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        elif kind == "lifespan":
            await run_lifespan(self._app, scope, receive, send, self._open, self.aclose)
        else:
            await self._app(scope, receive, send)

    async def _open(self) -> Admission:
        """The first request does it, where the server knows no lifespan."""
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._admission is None:
                self._rt = await aconnect(config=self._config)
                self._admission = Admission(self._rt, self._options)
            return self._admission

    async def aclose(self) -> None:
        """Close the client, if it is the middleware's own: it publishes the usage that is noted."""
        if self._own and self._rt is not None and self._admission is not None:
            rt, admission = self._rt, self._admission
            self._rt = self._admission = None
            await rt.store.drive(admission.end())
            await rt.aclose()

    async def _admit(self, admission: Admission, scope: Scope) -> TenantRequest:
        named, authorization, client = [], None, scope.get("client")
        for name, value in scope["headers"]:
            if name == b"x-tenant-id":
                named.append(value.decode("latin-1"))
            elif name == b"authorization":
                authorization = value.decode("latin-1")
            elif name == b"x-api-key":
                authorization = authorization or f"Bearer {value.decode('latin-1')}"
        flow = admission.admit(scope, named, authorization, client[0] if client else None)
        request: TenantRequest = await admission.store.drive(flow)
        scope["riptide"] = request
        return request

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._options.open_to_all(scope["path"]):
            await self._app(scope, receive, send)
            return
        admission = self._admission or await self._open()
        try:
            request = await self._admit(admission, scope)
        except Refused as refused:
            await _refuse(refused, send)
            return
        reply = _Reply(send, Meter(admission, request), request, silent=scope["method"] == "HEAD")
        enter(request.tenant)
        try:
            await self._app(scope, receive, reply.send)
        finally:
            leave()
            reply.meter.end()

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._options.open_to_all(scope["path"]):
            await self._app(scope, receive, send)
            return
        admission = self._admission or await self._open()
        try:
            request = await self._admit(admission, scope)
        except Refused as refused:
            await receive()  # the wish to connect
            if "websocket.http.response" in scope.get("extensions", {}):
                await _refuse(refused, send, "websocket.http.response")
            else:
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        enter(request.tenant)
        try:
            await self._app(scope, receive, _Socket(send, Meter(admission, request), request).send)
        finally:
            leave()


async def _refuse(refused: Refused, send: Send, kind: str = "http.response") -> None:
    body = refused.problem.body()
    head = head_of(refused.problem, body, refused.decision)
    await send({"type": f"{kind}.start", "status": refused.problem.status, "headers": head})
    await send({"type": f"{kind}.body", "body": body})


class _Reply:
    """What the app sends, on its way out."""

    __slots__ = ("_request", "_send", "_silent", "meter")

    def __init__(self, send: Send, meter: Meter, request: TenantRequest, *, silent: bool) -> None:
        self._send, self.meter, self._request, self._silent = send, meter, request, silent

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self._silent = self._silent or message["status"] in _BODILESS
            message = _with_fields(message, self._request)
        await self._send(message)
        if kind == "http.response.body":
            size = 0 if self._silent else len(message.get("body", b""))
            if message.get("more_body", False):
                self.meter.add(size)
            else:
                self.meter.complete(size)
        elif kind == "http.response.pathsend":
            self.meter.complete(0 if self._silent else await asyncio.to_thread(_size, message["path"]))


class _Socket:
    """What the app sends over a websocket. An operation is one that was accepted; its time tells nothing."""

    __slots__ = ("_meter", "_request", "_send")

    def __init__(self, send: Send, meter: Meter, request: TenantRequest) -> None:
        self._send, self._meter, self._request = send, meter, request

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind in {"websocket.accept", "websocket.http.response.start"}:
            message = _with_fields(message, self._request)
        await self._send(message)
        if kind == "websocket.send":
            data, text = message.get("bytes"), message.get("text")
            self._meter.add(len(data) if data is not None else len((text or "").encode()))
        elif kind == "websocket.accept":
            self._meter.complete(timed=False)


def _with_fields(message: Message, request: TenantRequest) -> Message:
    """A copy: an app may send the same one again."""
    fields = rate_fields(request.decision)
    return {**message, "headers": [*message.get("headers", ()), *fields]} if fields else message


def _size(path: str) -> int:
    return Path(path).stat().st_size
