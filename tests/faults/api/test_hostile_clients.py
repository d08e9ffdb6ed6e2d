"""Clients that are slow, endless, huge or malformed: bounded memory, and others are served."""

import contextlib
import resource
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.servers import Server
from tests.support.api_process import ApiProcess
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE, eventually

_MIB = 1024**2
#: What all of it together may add to the process.
_ROOM = 96 * _MIB
#: Soon, and not before an honest client has been heard by a process that stood still.
SHORT = {"header_timeout_seconds": 5, "body_timeout_seconds": 5, "write_timeout_seconds": 5}


@pytest.fixture(scope="module")
def api(valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    """One process for all of it: who comes later is one of the others."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    deployment = Deployment(valkey.url, f"t{secrets.token_hex(4)}")
    settings = SHORT | {"max_connections": 1500}
    try:
        with ApiProcess(deployment, tmp_path_factory.mktemp("api"), api=settings) as running:
            yield running
    finally:
        deployment.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(api: ApiProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", api.port), PATIENCE)


def answered(made: socket.socket) -> bytes:
    """All that comes until the other side closes; a reset ends it, too."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while piece := made.recv(65536):
            got += piece
    return got


@contextmanager
def others_are_served(api: ApiProcess) -> Iterator[None]:
    """Meanwhile, and at its end."""
    before = api.resident_bytes()
    with api.client() as client:
        assert client.get("/admin/tenants").status_code == 200
        yield
        assert client.get("/admin/tenants").status_code == 200
    assert api.resident_bytes() - before < _ROOM


def test_a_thousand_slow_and_half_open_connections(api: ApiProcess) -> None:
    head = b"GET /admin/tenants HTTP/1.1\r\nHost: a\r\nX-Slow: "
    body = b"POST /admin/tenants HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{"
    kinds = (b"", head, body, b"\r\n")
    with others_are_served(api):
        held = [connect(api) for _ in range(1000)]
        for number, made in enumerate(held):
            made.sendall(kinds[number % len(kinds)])
        with api.client() as client:
            for _ in range(20):
                assert client.get("/admin/tenants").status_code == 200
        # Each is ended by the server, however it goes on.
        ends_at = time.monotonic() + PATIENCE
        left = list(held)
        while left and time.monotonic() < ends_at:
            for made in list(left):
                made.settimeout(0.01)
                try:
                    while made.recv(65536):
                        pass
                    left.remove(made)
                except TimeoutError:
                    continue
                except ConnectionError:
                    left.remove(made)
        assert left == []
        for made in held:
            made.close()


def test_more_connections_than_it_takes(api: ApiProcess) -> None:
    """The oldest of those that do not get on give way."""
    with others_are_served(api):
        held = [connect(api) for _ in range(1600)]
        with api.client() as client:
            assert client.get("/admin/tenants").status_code == 200
        for made in held:
            made.close()


def test_more_idle_connections_than_it_takes(api: ApiProcess) -> None:
    """Kept open by whoever needs no key."""
    with others_are_served(api):
        held = []
        for _ in range(1600):
            made = connect(api)
            made.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
            assert made.recv(4096).startswith(b"HTTP/1.1 200 ")
            held.append(made)
        for made in held:
            made.close()


def test_bodies_of_100_mb(api: ApiProcess) -> None:
    key = api.key.encode()
    head = b"POST /admin/tenants HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\n" % key
    kinds = {
        "told": head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (100 * _MIB),
        "chunked": head + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        "unread": head.replace(b"POST /admin/tenants", b"GET /health/live")
        + b"Transfer-Encoding: chunked\r\n\r\n",
    }
    piece = b"x" * 65536
    chunk = b"%x\r\n%b\r\n" % (len(piece), piece)
    with others_are_served(api):
        for name, start in kinds.items():
            with connect(api) as made:
                made.sendall(start)
                sent = 0
                with contextlib.suppress(ConnectionError):
                    while sent < 100 * _MIB:
                        made.sendall(piece if name == "told" else chunk)
                        sent += len(piece)
                assert sent < 100 * _MIB, name
        # Who asks before sending is told at once.
        with connect(api) as made:
            made.sendall(kinds["told"].replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
            assert answered(made).startswith(b"HTTP/1.1 413 ")
        with api.client() as client:
            answer = client.post("/admin/tenants", content=b"{" + b" " * (3 * _MIB))
            assert answer.status_code == 413


def test_floods_of_headers(api: ApiProcess) -> None:
    line = b"GET /admin/tenants HTTP/1.1\r\nHost: a\r\n"
    floods = {
        "many": line + b"".join(b"X-%d: %b\r\n" % (number, b"v" * 50) for number in range(5000)),
        "endless": line + b"X-Long: " + b"v" * (4 * _MIB),
        "whole": line + b"X-Long: " + b"v" * 20_000 + b"\r\n\r\n",
        "path": b"GET /" + b"p" * (1 * _MIB) + b" HTTP/1.1\r\n\r\n",
        "query": b"GET /admin/tenants?" + b"q" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        "trailers": line.replace(b"GET", b"POST")
        + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
        + b"".join(b"X-%d: %b\r\n" % (number, b"v" * 1000) for number in range(30_000)),
        "ahead": (line + b"\r\n") * 20_000,
    }
    statuses = {"many": b"431", "whole": b"431", "query": b"414"}
    with others_are_served(api):
        for name, flood in floods.items():
            with connect(api) as made:
                with contextlib.suppress(ConnectionError):
                    made.sendall(flood)
                got = answered(made)
                assert statuses.get(name, b"") in got[:12] or not got, name


def test_who_takes_no_answer_is_cut_off(api: ApiProcess) -> None:
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\n\r\n" % api.key.encode()
    with others_are_served(api), connect(api) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.setblocking(False)

        def cut_off() -> bool:
            try:
                made.send(asked)
            except BlockingIOError:
                return False
            except ConnectionError:
                return True
            return False

        eventually(cut_off, "the connection to be cut off")


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /admin/../admin/tenants HTTP/1.1",
        b"GET //admin/tenants HTTP/1.1",
        b"GET /admin//tenants HTTP/1.1",
        b"GET /admin/tenants/%2e%2e/tenants HTTP/1.1",
        b"GET /admin/tenants/..%2f..%2fetc%2fpasswd HTTP/1.1",
        b"GET /health/live/../../admin/tenants HTTP/1.1",
        b"GET /health/live%2f..%2f..%2fadmin%2ftenants HTTP/1.1",
        b"GET /admin/tenants%00 HTTP/1.1",
        b"GET /admin/tenants/ HTTP/1.1",
        b"GET http://evil.example/admin/tenants HTTP/1.1",
        b"GET /admin/tenants/%ff%fe HTTP/1.1",
        b"GET /admin/t\xc3\xa9nants HTTP/1.1",
        b"GET * HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"CONNECT admin:443 HTTP/1.1",
        b"GET /admin/tenants HTTP/9.9",
        b"GET /admin/tenants",
        b"\x16\x03\x01\x02\x00",
        b"PRI * HTTP/2.0",
    ],
)
def test_tricks_with_the_path_lead_nowhere(api: ApiProcess, request_line: bytes) -> None:
    with connect(api) as made:
        made.sendall(request_line + b"\r\nHost: a\r\nConnection: close\r\n\r\n")
        got = answered(made)
    assert got[9:10] == b"4", got
