"""A real HTTP server on loopback whose every byte a test decides."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from riptide.cache.loaders.http import HttpLoader
from riptide.cache.loaders.registry import Loaders
from riptide.config import CacheSettings

#: Writes whatever it wants to be the answer to a request; the connection closes when it returns.
Script = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    line: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return self.line.split()[1]


@dataclass
class Origin:
    """What a server saw. Connections are counted by the server itself."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_open: int = 0
    all_closed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.all_closed.set()  # who gives up early has not come at all

    def entered(self) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self.all_closed.clear()

    def left(self) -> None:
        self.open -= 1
        if not self.open:
            self.all_closed.set()


@asynccontextmanager
async def serving(
    script: Script, address: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Origin]:
    origin = Origin()
    tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks[task] = writer
        origin.entered()
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                request = _parse(await reader.readuntil(b"\r\n\r\n"))
                origin.requests.append(request)
                await script(request, writer)
                await writer.drain()
        finally:
            origin.left()
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
            del tasks[task]

    server = await asyncio.start_server(serve, address, port, ssl=tls)
    origin.port = server.sockets[0].getsockname()[1]
    try:
        yield origin
    finally:
        server.close()
        for task, writer in tasks.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _parse(head: bytes) -> Request:
    line, *lines = head.decode("latin-1").split("\r\n")
    return Request(
        line, {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
    )


def answer(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """`content_type="text/plain"` becomes a header; `content_length` may lie."""
    fields = {"content_length": str(len(body)), "connection": "close"} | headers
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"HTTP/1.1 {status} Whatever", *lines, "", ""]).encode("latin-1") + body


def always(*data: bytes) -> Script:
    async def script(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.writelines(data)

    return script


class Names:
    """A resolver: what each name answers, one list after the other; the last one stays."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self.answers = {name.replace("_", "."): list(lists) for name, lists in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        lists = self.answers.get(host, [["127.0.0.1"]])
        return lists.pop(0) if len(lists) > 1 else lists[0]


@asynccontextmanager
async def loading(
    *hosts: str, names: Names | None = None, tls: ssl.SSLContext | None = None, **settings: float
) -> AsyncIterator[Loaders]:
    """The loaders of a worker, allowed to fetch from `hosts`. Without `names`, every name means 127.0.0.1."""
    cache = CacheSettings.model_validate({"loader_allowed_hosts": hosts, **settings})
    http = HttpLoader(cache, resolver=names or Names(), ssl_context=tls)
    async with Loaders(http, cache) as loaders:
        yield loaders
