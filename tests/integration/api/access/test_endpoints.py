"""`/admin/keys` and `permit`, over HTTP."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI

from riptide.api import errors
from riptide.api.access.access import Access
from riptide.api.access.caller import ROLES, Caller
from riptide.api.endpoints.keys import router
from riptide.api.permits import permit
from riptide.api.problems import MEDIA_TYPE
from riptide.reads.aio_client import aconnect
from tests.support.deployment import Deployment

ROOT_PATH = "/behind"


def make_app(access: Access) -> FastAPI:
    app = FastAPI()
    errors.install(app)
    app.include_router(router)
    app.state.access = access

    @app.get("/of/{whose}")
    async def of_tenant(caller: Annotated[Caller, permit("tenants:read", of="whose")]) -> str:
        return caller.id

    @app.get("/asked")
    async def asked(caller: Annotated[Caller, permit("cache:read", of="tenant")]) -> str:
        return caller.id

    return app


class Web:
    def __init__(self, client: httpx.AsyncClient, texts: dict[str, str]) -> None:
        self.client, self.texts = client, texts

    async def __call__(
        self, method: str, path: str, role: str | None = "admin", **more: Any
    ) -> httpx.Response:
        headers = {} if role is None else {"Authorization": f"Bearer {self.texts.get(role, role)}"}
        return await self.client.request(method, path, headers=headers, **more)


@pytest.fixture
async def web(on_valkey: Deployment) -> AsyncIterator[Web]:
    async with await aconnect(config=on_valkey.settings(tenant={"enabled": True})) as rt:
        access = Access(rt)
        for tenant in ("acme", "globex"):
            await rt.tenants.create(tenant)
        texts: dict[str, str] = {
            role: (await access.create(role, role=role, tenant="acme" if role == "tenant" else None)).text
            for role in ROLES
        }
        transport = httpx.ASGITransport(make_app(access), root_path=ROOT_PATH)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield Web(client, texts)


async def test_a_key_from_post_to_delete(web: Web) -> None:
    wish = {"name": "shop", "role": "tenant", "tenant": "acme", "expires_in_seconds": 60}
    answer = await web("POST", "/admin/keys", json=wish)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    made = answer.json()
    text, key = made["secret"], made["key"]["id"]
    path = f"/admin/keys/{key}"
    assert answer.headers["Location"] == f"{ROOT_PATH}{path}"
    assert text.startswith(f"rt_{key}_")
    assert (await web("GET", "/of/acme", text)).json() == key
    assert made["key"]["created_by"].startswith("api:")
    again = (await web("POST", f"{path}/rotate", json={"overlap_seconds": 0})).json()["secret"]
    assert (await web("GET", "/of/acme", text)).status_code == 401
    listed = (await web("GET", "/admin/keys", params={"tenant": "acme"})).json()
    assert key in {one["id"] for one in listed["keys"]}
    shown = await web("GET", path)
    assert text not in shown.text + str(listed)
    assert (await web("DELETE", path)).status_code == 204
    assert (await web("GET", "/of/acme", again)).status_code == 401
    assert (await web("GET", path)).json()["state"] == "revoked"
    over = await web("POST", f"{path}/rotate")
    assert (over.status_code, over.headers["Content-Type"]) == (409, MEDIA_TYPE)
    assert (await web("GET", "/admin/keys/0123456789ab")).json()["type"].endswith(":unknown-key")
    assert (await web("GET", "/admin/keys/x%7D:0123456789ab")).status_code == 422
    by_header = await web.client.get("/of/acme", headers={"X-API-Key": web.texts["tenant"]})
    assert by_header.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/admin/keys", {"admin"}),
        ("GET", "/admin/keys/0123456789ab", {"admin"}),
        ("POST", "/admin/keys", {"admin"}),
        ("DELETE", "/admin/keys/0123456789ab", {"admin"}),
        ("POST", "/admin/keys/0123456789ab/rotate", {"admin"}),
        ("GET", "/of/acme", set(ROLES)),
        ("GET", "/of/globex", set(ROLES) - {"tenant"}),
        ("GET", "/asked?tenant=acme", set(ROLES)),
        ("GET", "/asked?tenant=globex", set(ROLES) - {"tenant"}),
        ("GET", "/asked", set(ROLES) - {"tenant"}),
        ("GET", "/asked?tenant=globex&tenant=acme", set()),
    ],
)
async def test_who_may_what(web: Web, method: str, path: str, allowed: set[str]) -> None:
    body = {"json": {"name": "x", "role": "viewer"}} if path == "/admin/keys" and method == "POST" else {}
    for role in ROLES:
        status = (await web(method, path, role, **body)).status_code
        refused = {403} if path.count("tenant=") < 2 else {422}
        assert (status not in {401, 403, 422}) if role in allowed else status in refused, role
    assert (await web(method, path, None, **body)).status_code == 401


async def test_nobody_gives_what_they_do_not_have(web: Web) -> None:
    narrow = {"name": "keys only", "role": "admin", "scopes": ["keys:read", "keys:write"]}
    text = (await web("POST", "/admin/keys", json=narrow)).json()["secret"]
    assert (await web("POST", "/admin/keys", text, json={"name": "x", "role": "admin"})).status_code == 403
    assert (await web("POST", "/admin/keys", text, json=narrow)).status_code == 201
    for wrong in (
        {"role": "viewer", "scopes": ["everything"]},
        {"role": "viewer", "tenant": "acme"},
        {"role": "tenant"},
        {"role": "viewer", "expires_in_seconds": "60"},
        {"role": "viewer", "name": "a\nb"},
    ):
        assert (await web("POST", "/admin/keys", json={"name": "x"} | wrong)).status_code == 422
    admin = (await web("GET", "/admin/keys")).json()["keys"]
    (full,) = (one["id"] for one in admin if one["name"] == "admin")
    assert (await web("POST", f"/admin/keys/{full}/rotate", text)).status_code == 403


async def test_pages_are_those_of_other_lists(web: Web) -> None:
    first = (await web("GET", "/admin/keys", params={"limit": 1})).json()
    rest = (await web("GET", "/admin/keys", params={"cursor": first["cursor"]})).json()
    assert (len(first["keys"]), len(rest["keys"]), rest["cursor"]) == (1, 2, None)
    assert {one["name"] for one in first["keys"] + rest["keys"]} == {"viewer", "operator", "admin"}


def test_what_is_no_permission() -> None:
    with pytest.raises(KeyError):
        permit("everything")
