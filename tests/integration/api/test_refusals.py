"""What is refused, and as what."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from riptide.api.access.text import new_id, new_text
from riptide.api.app import create_app, create_probe
from riptide.api.bounds import Bounds
from tests.integration.api.conftest import TENANT, Api, started
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE, aeventually

NOBODY = "redis://127.0.0.1:1/0"
IMPATIENT = {"retry_attempts": 0, "connection_timeout_ms": 200}
LONG = "x" * 20_000


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "name"),
    [
        ("GET", "/nowhere", {}, 404, "no-such-endpoint"),
        ("PATCH", "/admin/tenants", {}, 405, "method-not-allowed"),
        ("GET", "/admin/tenants/", {}, 404, "no-such-endpoint"),
        ("GET", "/admin/tenants/NO", {}, 422, "invalid-input"),
        ("GET", "/admin/tenants?limit=0", {}, 422, "invalid-input"),
        ("GET", "/admin/tenants?cursor=%00", {}, 422, "invalid-input"),
        ("GET", f"/admin/tenants?cursor={LONG}", {}, 414, "query-too-long"),
        ("GET", "/admin/tenants", {"headers": {"X-Long": LONG}}, 431, "headers-too-large"),
        ("GET", "/admin/tenants/nobody", {}, 404, "unknown-tenant"),
        ("POST", "/admin/tenants", {"json": {"name": "x"}}, 422, "invalid-input"),
        ("POST", "/admin/tenants", {"content": b"{"}, 400, "malformed-request"),
        ("POST", "/admin/tenants", {"content": b"[" * 50_000}, 400, "malformed-request"),
        ("POST", "/admin/tenants", {"content": b"\xff"}, 400, "malformed-request"),
        ("POST", "/admin/tenants", {"content": b" " * 3 * 1024**2}, 413, "body-too-large"),
        ("POST", "/admin/tenants", {"content": [b" " * 1024**2] * 3}, 413, "body-too-large"),
        ("POST", "/admin/state/restore", {"json": {"checkpoint": "../x"}}, 422, "invalid-input"),
        ("GET", "/admin/state/checkpoints?cursor=..", {}, 422, "invalid-input"),
        ("PUT", "/admin/tenants/default", {"json": {"name": "x"}}, 409, "default-tenant"),
    ],
)
async def test_each_refusal_is_a_problem(
    api: Api, method: str, path: str, more: dict[str, object], status: int, name: str
) -> None:
    if isinstance(content := more.get("content"), list):

        async def pieces() -> AsyncIterator[bytes]:
            for piece in content:
                yield piece

        more = {"content": pieces()}
    headers = {"Content-Type": "application/json", **more.pop("headers", {})}  # type: ignore[dict-item]
    async with api.by("admin") as client:
        answer = await client.request(method, path, headers=headers, **more)  # type: ignore[arg-type]
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    told = json.loads(answer.content)
    assert (told["type"], told["status"]) == (f"urn:riptide:problem:{name}", status)
    assert LONG not in answer.text
    if status == 405:
        assert answer.headers["Allow"]


async def test_with_multi_tenancy_off_there_is_only_default(on_valkey: Deployment, blobs: Path) -> None:
    async with started(on_valkey, blobs, tenant={"enabled": False}) as api, api.by("admin") as client:
        listed = (await client.get("/admin/tenants")).json()
        assert [one["tenant_id"] for one in listed["tenants"]] == ["default"]
        assert (await client.get("/admin/tenants/default")).json()["status"] == "active"
        for answer in (
            await client.get(f"/admin/tenants/{TENANT}"),
            await client.put(f"/admin/tenants/{TENANT}", json={}),
            await client.delete(f"/admin/tenants/{TENANT}"),
        ):
            assert answer.json()["type"] == "urn:riptide:problem:multi-tenancy-disabled"


async def test_without_a_server_it_lives_and_says_so(prefix: str, blobs: Path) -> None:
    deployment = Deployment.__new__(Deployment)
    deployment.url, deployment.prefix, deployment.cluster = NOBODY, prefix, False
    settings = deployment.settings(redis=IMPATIENT, blobs={"url": str(blobs)})
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        key = {"Authorization": f"Bearer {new_text(new_id(None))}"}
        for served, name in ((app, "server-unavailable"), (create_probe(app), "not-ready")):
            transport = httpx.ASGITransport(served)
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                assert (await client.get("/health/live")).status_code == 200
                answer = await client.get("/health/ready", headers=key)
                assert (answer.status_code, answer.json()["type"]) == (503, f"urn:riptide:problem:{name}")


async def test_the_probe_needs_no_key(api: Api) -> None:
    transport = httpx.ASGITransport(create_probe(api.app))
    async with httpx.AsyncClient(transport=transport, base_url="http://probe") as client:
        assert (await client.get("/health/live")).json() == {"state": "ok"}
        assert (await client.get("/health/ready")).status_code == 200
        assert "riptide_" in (await client.get("/metrics")).text
        assert (await client.get("/admin/tenants")).json()["type"] == "urn:riptide:problem:no-such-endpoint"


async def bounds_of(api: Api) -> Any:
    async with api.by(None) as client:
        await client.get("/health/live")  # before the first request there are none
    found = api.app.middleware_stack
    while not isinstance(found, Bounds):
        found = found.app
    return found


async def test_too_many_at_a_time_are_told_to_come_again(on_valkey: Deployment, blobs: Path) -> None:
    async with started(on_valkey, blobs, api={"max_requests": 1}) as api, api.by("operator") as client:
        bounds = await bounds_of(api)
        bounds._working = 1
        busy = await client.get("/admin/streams")
        assert (busy.status_code, busy.headers["Retry-After"]) == (503, "1")
        assert busy.json()["type"] == "urn:riptide:problem:too-busy"
        assert (await client.get("/health/live")).status_code == 200
        bounds._working = 0
        assert (await client.get("/admin/streams")).status_code == 200


async def test_bodies_that_do_not_come_do_not_take_all_places(on_valkey: Deployment, blobs: Path) -> None:
    """Nobody was asked for a key by then."""
    times = {"max_requests": 2, "body_timeout_seconds": 600, "request_timeout_seconds": 600}
    async with started(on_valkey, blobs, api=times) as api:
        bounds = await bounds_of(api)

        async def never() -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.Event().wait()

        async with api.by(None) as nobody, api.by("operator") as client:
            headers = {"Content-Type": "application/json"}
            held = [
                asyncio.ensure_future(nobody.post("/admin/tenants", content=never(), headers=headers))
                for _ in range(2)
            ]

            async def all_places() -> bool:
                return bool(bounds._working == len(held))

            await aeventually(all_places, "all places to be taken")

            async def served() -> bool:
                return (await client.get("/admin/streams")).status_code == 200

            await aeventually(served, "somebody else to be served")
            done, _ = await asyncio.wait(held, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            assert [one.result().status_code for one in done] == [408]
            for one in held:
                one.cancel()
            await asyncio.gather(*held, return_exceptions=True)


@pytest.mark.parametrize("path", ["/admin/tenants/acme", "/admin/tenants/unknown", "/health/live"])
async def test_no_cache_on_the_way_keeps_an_answer(api: Api, path: str) -> None:
    async with api.by("admin") as client:
        assert (await client.get(path)).headers["Cache-Control"] == "no-store"


async def test_what_takes_too_long_ends(on_valkey: Deployment, blobs: Path) -> None:
    """Also what waits for a body that does not come."""
    times = {"body_timeout_seconds": 0.05}
    async with started(on_valkey, blobs, api=times) as api, api.by("operator") as client:

        async def slowly() -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.Event().wait()

        headers = {"Content-Type": "application/json"}
        slow = await client.post("/commands/warm?tenant=acme", content=slowly(), headers=headers)
        assert (slow.status_code, slow.json()["type"]) == (408, "urn:riptide:problem:too-slow")
        waited = await client.get("/commands/warm.10.1-1?wait=3000")
        assert waited.status_code == 404
