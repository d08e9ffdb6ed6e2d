"""The twin for WSGI: what it counts, in threads and in forked children."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import riptide
from tests.integration.api.middleware.conftest import Host, published
from tests.support.asgi import call_wsgi
from tests.support.waiting import PATIENCE
from tests.support.workers import ROOT, environment, write_config

PROGRAM = """
import os, sys
import riptide
from tests.support.asgi import call_wsgi

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"1234"]

service = riptide.TenantWSGIMiddleware(app, keys=False)
ask = lambda: call_wsgi(service, x_tenant_id="acme").status
assert ask() == 200
child = os.fork()
if child == 0:
    assert (ask(), ask()) == (200, 200)
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
"""


class Mishap(Exception):
    pass


def app(environ: Any, start_response: Any) -> Any:
    match environ["PATH_INFO"]:
        case "/stream":
            start_response("200 OK", [])
            return (b"x" * 20 for _ in range(5))
        case "/write":
            write = start_response("200 OK", [])
            write(b"12345")
            return [b"67"]
        case "/raises":
            raise Mishap
        case "/breaks":
            start_response("200 OK", [])
            return _breaks()
        case "/nothing":
            start_response("204 No Content", [])
            return [b""]
        case "/named":
            environ["riptide"].operation = "page.render"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"0123456789"]


def _breaks() -> Iterator[bytes]:
    assert riptide.current_tenant() == "acme"
    yield b"y" * 30
    raise Mishap


@pytest.mark.parametrize(
    ("path", "method", "operations", "sent"),
    [
        ("/", "GET", 1, 10),
        ("/", "HEAD", 1, 0),
        ("/stream", "GET", 1, 100),
        ("/write", "GET", 1, 7),
        ("/nothing", "GET", 1, 0),
        ("/raises", "GET", 0, 0),
        ("/breaks", "GET", 0, 30),
    ],
)
async def test_what_is_counted(host: Host, path: str, method: str, operations: int, sent: int) -> None:
    def run() -> None:
        with riptide.connect(config=host.settings) as rt:
            service = riptide.TenantWSGIMiddleware(app, rt=rt, keys=False)
            for _ in range(2):
                if operations:
                    assert call_wsgi(service, path, method, x_tenant_id="acme").status in {200, 204}
                else:
                    with pytest.raises(Mishap):
                        call_wsgi(service, path, method, x_tenant_id="acme")
                assert riptide.current_tenant() is None

    await asyncio.to_thread(run)
    assert await host.usage() == (2 * operations, 2 * sent)


async def test_a_response_that_the_server_drops_is_no_operation(host: Host) -> None:
    def run() -> None:
        with riptide.connect(config=host.settings) as rt:
            service: Any = riptide.TenantWSGIMiddleware(app, rt=rt, keys=False)
            environ = {"PATH_INFO": "/stream", "REQUEST_METHOD": "GET", "HTTP_X_TENANT_ID": "acme"}
            pieces = service(environ, lambda *_: None)
            next(iter(pieces))
            pieces.close()
            call_wsgi(service, "/named", x_tenant_id="acme")

    await asyncio.to_thread(run)
    assert await host.usage() == (0, 20)
    assert await host.usage(operation="page.render") == (1, 10)


async def test_each_process_publishes_what_it_noted_when_it_ends(host: Host, tmp_path: Path) -> None:
    config = write_config(
        tmp_path / "riptide.yml", tenant={"enabled": True}, api={"usage_flush_seconds": 3600}
    )
    await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=os.environ | environment(host.deployment, config),
        check=True,
        timeout=PATIENCE,
    )
    sums = published(host.deployment)
    assert sums["acme", "http.request", "operation_count"] == 3
    assert sums["acme", "http.request", "data_bytes"] == 12
    assert len(host.deployment.entries("record_usage")) == 2
