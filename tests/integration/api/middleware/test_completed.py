"""What counts as used: the responses that the app completed, to the unit; bytes that were sent."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi import FastAPI, Request, WebSocket
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse

import riptide
from tests.integration.api.middleware.conftest import Host, published
from tests.support.asgi import call, get, scope_of

HERE = Path(__file__)
SIZE = HERE.stat().st_size


class Mishap(Exception):
    pass


def make_app() -> FastAPI:  # noqa: C901 - one endpoint after the other
    app = FastAPI()

    @app.get("/plain")
    @app.head("/plain")
    def plain() -> Response:
        return PlainTextResponse("0123456789")

    @app.get("/stream")
    async def stream() -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(5):
                yield b"x" * 20

        return StreamingResponse(pieces())

    @app.get("/nothing")
    def nothing() -> Response:
        return Response(status_code=204)

    @app.get("/file")
    def file() -> Response:
        return FileResponse(HERE)

    @app.get("/background")
    def background() -> Response:
        async def later() -> None:
            raise Mishap

        return PlainTextResponse("done", background=BackgroundTask(later))

    @app.get("/raises")
    def raises() -> Response:
        raise Mishap

    @app.get("/breaks")
    async def breaks() -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"y" * 30
            raise Mishap

        return StreamingResponse(pieces())

    @app.get("/named/{name}")
    def named(name: str, request: Request) -> Response:
        request.scope["riptide"].operation = name.replace("+", " ")
        return PlainTextResponse("ok")

    @app.get("/context")
    def context() -> dict[str, Any]:  # in a thread
        return {"tenant": riptide.current_tenant()} | structlog.contextvars.get_contextvars()

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("äöü")
        await websocket.send_bytes(b"1234")
        await websocket.close()

    return app


@pytest.fixture
def app(host: Host) -> riptide.TenantMiddleware:
    return riptide.TenantMiddleware(make_app(), rt=host.rt, keys=False)


@pytest.mark.parametrize(
    ("path", "operations", "sent"),
    [
        ("/plain", 1, 10),
        ("/stream", 1, 100),
        ("/nothing", 1, 0),
        ("/file", 1, SIZE),
        ("/missing", 1, len(b'{"detail":"Not Found"}')),
    ],
)
async def test_a_complete_response(app: Any, host: Host, path: str, operations: int, sent: int) -> None:
    for number in range(1, 3):
        answer = await get(app, path, x_tenant_id="acme")
        assert len(answer.body) == sent
        assert await host.usage() == (number * operations, number * sent)


async def test_no_body_is_sent_for_head(app: Any, host: Host) -> None:
    assert (await get(app, "/plain", "HEAD", x_tenant_id="acme"))["content-length"] == "10"
    assert await host.usage() == (1, 0)


async def test_a_server_that_sends_files_itself(app: Any, host: Host) -> None:
    scope = scope_of("/file", {"x-tenant-id": "acme"})
    scope["extensions"] = {"http.response.pathsend": {}}
    assert (await call(app, scope)).body == b""
    assert await host.usage() == (1, SIZE)


async def test_what_fails_after_the_response_changes_nothing(app: Any, host: Host) -> None:
    with pytest.raises(Mishap):
        await get(app, "/background", x_tenant_id="acme")
    assert await host.usage() == (1, 4)


async def test_a_response_that_breaks_off_is_no_operation(app: Any, host: Host) -> None:
    with pytest.raises(Mishap):
        await get(app, "/breaks", x_tenant_id="acme")
    assert await host.usage() == (0, 30)


async def test_the_500_of_a_framework_is_not_the_apps(host: Host) -> None:
    """Where FastAPI is given the middleware, it answers in place of an app that raised from outside."""
    app = make_app()
    app.add_middleware(riptide.TenantMiddleware, rt=host.rt, keys=False)
    with pytest.raises(Mishap):
        await get(app, "/raises", x_tenant_id="acme")
    assert await host.usage() == (0, 0)
    assert riptide.current_tenant() is None


async def test_a_client_that_goes_away(host: Host) -> None:
    gone, sent = asyncio.Event(), 0

    async def receive() -> dict[str, str]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal sent
        sent += len(message.get("body", b""))
        if sent >= 30:
            gone.set()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"z" * 10
            await asyncio.sleep(0)

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        await StreamingResponse(endless())(scope, receive, send)

    middleware = riptide.TenantMiddleware(stream, rt=host.rt, keys=False)
    await middleware(scope_of("/", {"x-tenant-id": "acme"}), receive, send)
    assert sent >= 30
    assert await host.usage() == (0, sent)


async def test_a_handler_names_its_operation(app: Any, host: Host) -> None:
    await get(app, "/named/page.render", x_tenant_id="acme")
    await get(app, "/named/no+name", x_tenant_id="acme")
    assert await host.usage(operation="page.render") == (1, 2)
    assert await host.usage() == (1, 2), "one that is none is counted all the same"


async def test_handlers_and_log_lines_know_the_tenant(app: Any) -> None:
    seen = await asyncio.gather(*(get(app, "/context", x_tenant_id=name) for name in ("acme", "tiny")))
    assert [one.json()["tenant"] for one in seen] == ["acme", "tiny"]
    assert riptide.current_tenant() is None
    assert structlog.contextvars.get_contextvars() == {}


async def test_time_is_measured_until_the_last_piece(host: Host) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.03)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})
        await asyncio.sleep(0.5)

    began = asyncio.get_running_loop().time()
    await get(riptide.TenantMiddleware(app, rt=host.rt, keys=False), x_tenant_id="acme")
    whole = (asyncio.get_running_loop().time() - began) * 1000
    await host.rt.usage.flush()
    assert 30 <= published(host.deployment)["acme", "http.request", "compute_ms"] <= whole - 499


async def socket(app: Any, extensions: dict[str, Any], tenant: str) -> list[dict[str, Any]]:
    scope = scope_of("/socket", {"x-tenant-id": tenant}) | {"type": "websocket", "extensions": extensions}
    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        told.append(message)

    await app(scope, receive, send)
    return told


async def test_websockets_are_checked_when_they_connect(app: Any, host: Host) -> None:
    told = await socket(app, {}, "tiny")
    assert [one["type"] for one in told] == ["websocket.accept", *["websocket.send"] * 2, "websocket.close"]
    assert dict(told[0]["headers"])[b"ratelimit"].startswith(b'"ops";r=2;')
    assert await host.usage("tiny") == (1, 10)
    await socket(app, {}, "tiny")
    await socket(app, {}, "tiny")
    assert [one["type"] for one in await socket(app, {}, "tiny")] == ["websocket.close"]
    start, body = await socket(app, {"websocket.http.response": {}}, "tiny")
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 429)
    assert b"quota-exceeded" in body["body"]
    assert await host.usage("tiny") == (3, 30)
