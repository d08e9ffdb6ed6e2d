"""Tokens checked against a key set that is read over HTTP."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from riptide.api.access.access import Access
from riptide.api.access.jwks import KeySetUnavailable, read_source
from riptide.config.models.surface import ApiSettings
from riptide.reads.aio_client import aconnect
from tests.integration.api.access.conftest import Open
from tests.integration.api.access.test_endpoints import make_app
from tests.support.deployment import Deployment

KEY = Ed25519PrivateKey.generate()


class _Provider(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = json.dumps(
            {"keys": [json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(KEY.public_key())) | {"kid": "1"}]}
        )
        self.send_response({"/keys": 200, "/elsewhere": 302, "/large": 200}.get(self.path, 500))
        self.send_header("Location", "/keys")
        self.end_headers()
        self.wfile.write((" " * 2_000_000 if self.path == "/large" else body).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[str]:
    """Where it is."""
    _Provider.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Provider) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def token(**claims: Any) -> str:
    given = {"iss": "i", "aud": "a", "sub": "ada", "role": "admin", "exp": time.time() + 60} | claims
    return jwt.encode(given, KEY, "EdDSA", {"kid": "1"})


def api(url: str) -> dict[str, Any]:
    return {"jwt_jwks": url, "jwt_issuer": "i", "jwt_audience": "a"}


async def test_a_token_over_http(on_valkey: Deployment, provider: str) -> None:
    """Tried by many at once, the set is read once."""
    settings = on_valkey.settings(tenant={"enabled": True})
    good, bad = (
        settings.model_copy(update={"api": ApiSettings(**api(provider + path))})
        for path in ("/keys", "/gone")
    )
    for chosen, status in ((good, 200), (bad, 503)):
        async with await aconnect(config=chosen) as rt:
            app = make_app(Access(rt))
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://test"
            ) as client:
                headers = {"Authorization": f"Bearer {token()}"}
                assert (await client.get("/admin/keys", headers=headers)).status_code == status
                theirs = {"Authorization": f"Bearer {token(role='tenant', tenant='acme')}"}
                assert (await client.get("/of/acme", headers=theirs)).status_code == status
                assert (await client.get("/of/globex", headers=theirs)).status_code == {200: 403}.get(
                    status, status
                )
    assert _Provider.asked == ["/keys", "/gone"]


def test_by_threads_at_once(on_valkey: Deployment, open_place: Open, provider: str) -> None:
    place = open_place(on_valkey, api=api(f"{provider}/keys"))
    found: list[str] = []
    barrier = threading.Barrier(8)

    def identify() -> None:
        barrier.wait()
        found.append(place.access.identify(f"Bearer {token()}", None).id)

    threads = [threading.Thread(target=identify) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["jwt:ada"] * 8
    assert _Provider.asked == ["/keys"]
    place = open_place(on_valkey, api=api(f"{provider}/elsewhere"))
    with pytest.raises(KeySetUnavailable):
        place.access.identify(f"Bearer {token()}", None)
    assert _Provider.asked == ["/keys", "/elsewhere"], "no redirect is followed"


def test_what_is_read(provider: str) -> None:
    for path in ("/elsewhere", "/gone", "/large"):
        with pytest.raises((OSError, ValueError)):
            read_source(provider + path)
    with pytest.raises(OSError, match="refused"):
        read_source("http://127.0.0.1:1/keys")
