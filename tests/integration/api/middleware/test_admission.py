"""Who is let in, and what the others are told: both colours."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import riptide
from riptide.errors import InvalidInput, ServerRefused
from tests.integration.api.middleware.conftest import Host, settings_of
from tests.support.asgi import Answer, call, call_wsgi, get, scope_of
from tests.support.deployment import Deployment

Ask = Callable[..., Awaitable[Answer]]


async def app(scope: Any, receive: Any, send: Any) -> None:
    tenant = (riptide.current_tenant() or "nobody").encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": tenant})


def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [(riptide.current_tenant() or "nobody").encode()]


@pytest.fixture(params=["asgi", "wsgi"])
async def ask(request: pytest.FixtureRequest, host: Host) -> Any:
    """`ask(path, x_tenant_id=…, options={…})`, of a service with those options."""
    opened: list[Any] = []

    async def asked(path: str = "/", options: dict[str, Any] | None = None, **rest: Any) -> Answer:
        given = {"keys": False} if options is None else options
        if request.param == "asgi":
            return await get(riptide.TenantMiddleware(app, rt=host.rt, **given), path, **rest)
        rt = await asyncio.to_thread(riptide.connect, config=host.settings)
        opened.append(rt)
        wsgi = riptide.TenantWSGIMiddleware(wsgi_app, rt=rt, **given)
        return await asyncio.to_thread(call_wsgi, wsgi, path, **rest)

    yield asked
    for rt in opened:
        await asyncio.to_thread(rt.close)


async def test_what_each_request_is_answered(ask: Ask, host: Host) -> None:
    answer = await ask(x_tenant_id="tiny")
    assert (answer.status, answer.body) == (200, b"tiny")
    assert answer["ratelimit-policy"] == '"ops";q=3;w=60'
    assert answer["ratelimit"].startswith('"ops";r=2;t=6')
    unlimited = await ask(x_tenant_id="acme")
    assert (unlimited.status, unlimited.has("ratelimit")) == (200, False)
    missing = await ask()
    assert (missing.status, missing.problem) == (400, "tenant-missing")
    for name in ("nobody-there", "Acme", "a b", "", "acme,acme"):
        unknown = await ask(x_tenant_id=name)
        assert (unknown.status, unknown.problem) == (403, "tenant-forbidden"), name
        assert name == "" or name.encode() not in unknown.body
    await host.rt.tenants.suspend("acme", why="secret reasons")
    suspended = await ask(x_tenant_id="acme")
    assert (suspended.status, suspended.problem) == (403, "tenant-not-active")
    assert suspended.json()["tenant-status"] == "suspended"
    assert b"secret" not in suspended.body


async def test_over_quota(ask: Ask) -> None:
    for left in (2, 1, 0):
        assert (await ask(x_tenant_id="tiny"))["ratelimit"].startswith(f'"ops";r={left};')
    for _ in range(2):
        refused = await ask(x_tenant_id="tiny")
        assert (refused.status, refused.problem) == (429, "quota-exceeded")
        assert 0 < int(refused["retry-after"]) <= 62
        assert refused.json()["violated-policies"] == ["ops"]
        assert refused["ratelimit"].startswith('"ops";r=0;')
        assert refused["ratelimit-policy"] == '"ops";q=3;w=60'


async def test_leases_let_in_no_more_than_the_limit(ask: Ask, host: Host) -> None:
    lease = riptide.TenantMiddleware(app, rt=host.rt, keys=False, lease=True)
    allowed = [(await get(lease, x_tenant_id="tiny")).status for _ in range(5)]
    allowed += [
        (await ask(x_tenant_id="tiny", options={"keys": False, "lease": True})).status for _ in range(2)
    ]
    assert allowed.count(200) == 3
    assert set(allowed) == {200, 429}
    assert (await ask(x_tenant_id="acme", options={"keys": False, "lease": True})).body == b"acme"
    unknown = await ask(x_tenant_id="nobody-there", options={"keys": False, "lease": True})
    assert (unknown.status, unknown.problem) == (403, "tenant-forbidden")


async def test_the_host_tells_whose_the_caller_is(ask: Ask) -> None:
    def of(raw: Any) -> str | None:
        path = raw.get("path") or raw.get("PATH_INFO")
        return None if path == "/stranger" else "acme"

    options = {"tenant_of": of, "exempt": ("/health", "/static/")}
    assert (await ask(options=options)).body == b"acme"
    assert (await ask(options=options, x_tenant_id="acme")).body == b"acme"
    foreign = await ask(options=options, x_tenant_id="tiny")
    stranger = await ask("/stranger", options=options, x_tenant_id="acme")
    nobody = await ask("/", options=options, x_tenant_id="nobody-there")
    assert {foreign.problem, stranger.problem, nobody.problem} == {"tenant-forbidden"}
    assert foreign.body == stranger.body == nobody.body
    for path in ("/health", "/static/", "/static/a.css"):
        assert (await ask(path, options=options)).body == b"nobody"
    assert (await ask("/health/no", options={"keys": False, "exempt": ("/health",)})).status == 400


async def test_the_host_may_take_its_time_to_tell(host: Host) -> None:
    async def of(scope: Any) -> str:
        await asyncio.sleep(0)
        return "acme"

    assert (await get(riptide.TenantMiddleware(app, rt=host.rt, tenant_of=of))).body == b"acme"


async def test_two_headers_are_none(host: Host) -> None:
    scope = scope_of("/", {"x-tenant-id": "acme"})
    scope["headers"] *= 2
    assert (
        await call(riptide.TenantMiddleware(app, rt=host.rt, keys=False), scope)
    ).problem == "tenant-missing"


async def test_with_multi_tenancy_off_everything_is_the_default_tenants(on_valkey: Deployment) -> None:
    settings = settings_of(on_valkey, tenant={"enabled": False, "default_ops_quota": 10})
    async with await riptide.aconnect(config=settings) as rt:
        middleware = riptide.TenantMiddleware(app, rt=rt, keys=False)
        for headers in ({}, {"x_tenant_id": "whoever"}):
            answer = await get(middleware, "/", **headers)
            assert answer.body == b"default"
        assert answer["ratelimit"].startswith('"ops";r=8;')


async def test_a_server_that_refuses(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuses(_: Any) -> Any:
        raise ServerRefused("OOM command not allowed, which is nothing for clients")

    monkeypatch.setattr(host.rt.store, "run", refuses)
    answer = await get(riptide.TenantMiddleware(app, rt=host.rt, keys=False), x_tenant_id="acme")
    assert (answer.status, answer.problem) == (503, "server-refused")
    assert b"OOM" not in answer.body


def test_options_that_say_two_things_are_refused() -> None:
    with pytest.raises(InvalidInput, match="tenant_of"):
        riptide.TenantMiddleware(app, keys=True, tenant_of=lambda _: "acme")
    with pytest.raises(InvalidInput, match="exempt"):
        riptide.TenantMiddleware(app, keys=False, exempt="/health")
