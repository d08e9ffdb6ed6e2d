"""ASGI apps called directly, as a server does."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def __getitem__(self, name: str) -> str:
        found = [value for key, value in self.headers if key.lower() == name]
        assert len(found) == 1, (name, self.headers)
        return found[0]

    def has(self, name: str) -> bool:
        return any(key.lower() == name for key, _ in self.headers)

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The last part of its type."""
        assert self["content-type"] == "application/problem+json"
        body = self.json()
        assert body["status"] == self.status
        return str(body["type"]).removeprefix("urn:riptide:problem:")


def scope_of(path: str, headers: Mapping[str, str], method: str = "GET") -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "extensions": {},
    }


async def get(app: Any, path: str = "/", method: str = "GET", **headers: str) -> Answer:
    """`x_tenant_id="acme"` is the header x-tenant-id."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await call(app, scope_of(path, named, method))


async def call(app: Any, scope: dict[str, Any]) -> Answer:
    answer, asked = Answer(), False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:  # the client stays
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = [(name.decode(), value.decode()) for name, value in message["headers"]]
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")

    await app(scope, receive, send)
    return answer


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Start and end, as a server tells them."""
    asked: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    told: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    running = asyncio.ensure_future(
        app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, asked.get, told.put)
    )
    try:
        for step in ("startup", "shutdown"):
            await asked.put({"type": f"lifespan.{step}"})
            waiting = asyncio.ensure_future(told.get())
            await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                waiting.cancel()
                await running
            answer = await waiting
            assert answer["type"] == f"lifespan.{step}.complete", answer
            if step == "startup":
                yield
    finally:
        await running


def call_wsgi(app: Any, path: str = "/", method: str = "GET", **headers: str) -> Answer:
    from wsgiref.util import setup_testing_defaults

    environ: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": method, "REMOTE_ADDR": "127.0.0.1"}
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    setup_testing_defaults(environ)
    answer = Answer()

    def start_response(status: str, head: Any, exc_info: Any = None) -> Any:
        answer.status, answer.headers = int(status.split(maxsplit=1)[0]), list(head)

        def write(piece: bytes) -> None:
            answer.body += piece

        return write

    pieces = app(environ, start_response)
    try:
        for piece in pieces:
            answer.body += piece
    finally:
        if hasattr(pieces, "close"):
            pieces.close()
    return answer
