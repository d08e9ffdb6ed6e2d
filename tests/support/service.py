"""A host service under uvicorn, as a process of its own: a page that is slow to render, and a ledger of what
the app completed, which it keeps itself."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fastapi import FastAPI
from starlette.responses import PlainTextResponse, Response

import riptide
from tests.servers.ports import free_port
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE, eventually
from tests.support.workers import ROOT, environment, write_config

LARGEST = 2_000


class Ledger:
    """Inside of the middleware: tenant -> responses and bytes whose sending was awaited to the end. Written
    to a file when the service ends in order."""

    def __init__(self, app: Any, file: Path) -> None:
        self._app, self._file = app, file
        self.responses: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            await send(message)
            tenant = riptide.current_tenant()
            if tenant is not None and message["type"] == "http.response.body":
                self.bytes[tenant] += len(message.get("body", b""))
                self.responses[tenant] += not message.get("more_body", False)

        await self._app(scope, receive, sending)
        if scope["type"] == "lifespan":
            self._file.write_text(json.dumps({"responses": self.responses, "bytes": self.bytes}))


def make_app() -> Any:
    """What uvicorn serves."""
    app = FastAPI()

    @app.get("/page")
    async def page() -> Response:
        await asyncio.sleep(random.uniform(0.001, 0.01))  # rendering
        return PlainTextResponse("p" * random.randrange(LARGEST))

    @app.get("/health")
    async def health() -> Response:
        return Response()

    ledger = Ledger(app, Path(os.environ["SERVICE_LEDGER"]))
    lease = os.environ["SERVICE_LEASES"] == "1"
    return riptide.TenantMiddleware(
        ledger, keys=False, exempt=("/health",), operation="page.render", lease=lease
    )


class Service:
    """The process. `sections` override the configuration."""

    def __init__(
        self, deployment: Deployment, directory: Path, *, leases: bool = False, **sections: Any
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port, self._log = free_port(), directory / "service.log"
        config = write_config(directory / "service.yml", tenant={"enabled": True}, **sections)
        self._ledger = directory / "ledger.json"
        self._environment = environment(deployment, config)
        self._environment |= {"SERVICE_LEASES": str(int(leases)), "SERVICE_LEDGER": str(self._ledger)}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "uvicorn", "tests.support.service:make_app", "--factory"]
        command += ["--port", str(self.port), "--no-access-log", "--timeout-keep-alive", "60"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        eventually(self._answers, "the service to answer")
        return self

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=PATIENCE):
                return True
        except OSError:
            return False

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def ledger(self) -> dict[str, dict[str, int]]:
        """What the app completed, `responses` and `bytes` by tenant; there once it has stopped."""
        told: dict[str, dict[str, int]] = json.loads(self._ledger.read_text("utf-8"))
        return told

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        if error is not None:
            sys.stderr.write(f"--- {self._log.name}\n{self.log[-6000:]}\n")


class Client:
    """One connection, kept alive. A response of which anything is missing raises."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, tenant: str) -> tuple[int, int]:
        """Status, and bytes of the body."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(f"GET /page HTTP/1.1\r\nHost: test\r\nX-Tenant-ID: {tenant}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        (length,) = [int(line.partition(":")[2]) for line in head if line.startswith("content-length:")]
        await reader.readexactly(length)
        return int(head[0].split()[1]), length

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._streams is not None:
            self._streams[1].close()
            with suppress(ConnectionError):
                await self._streams[1].wait_closed()
