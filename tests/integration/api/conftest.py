"""The API in this process, on a real server, with a key for each role."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from riptide.api.access.caller import ROLES
from riptide.api.access.text import new_id, new_text
from riptide.api.app import create_app
from riptide.config.models.surface import ApiSettings
from tests.support.deployment import Deployment
from tests.support.fixtures import alone, deployment, on_valkey

__all__ = ["alone", "deployment", "on_valkey"]

TENANT, OTHER = "acme", "umbrella"


class Api:
    """A started application; `by(role)` is a client with a key of that role (None: without any)."""

    def __init__(self, app: Any, keys: dict[str, str]) -> None:
        self.app, self.keys = app, keys
        self.rt = app.state.riptide

    def by(self, role: str | None = "admin", **options: Any) -> httpx.AsyncClient:
        headers = {} if role is None else {"Authorization": f"Bearer {self.keys[role]}"}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers, **options)


@asynccontextmanager
async def started(deployment: Deployment, blobs: Path, **sections: Any) -> AsyncIterator[Api]:
    """The API of a deployment that has two tenants."""
    sections["tenant"] = {"enabled": True} | sections.get("tenant", {})
    api = ApiSettings(**({"admin_key": new_text(new_id(None))} | sections.pop("api", {})))
    settings = deployment.settings(blobs={"url": str(blobs)}, **sections)
    app = create_app(settings.model_copy(update={"api": api}))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        access, rt = app.state.access, app.state.riptide
        keys: dict[str, str] = {}
        for tenant in (TENANT, OTHER) if settings.tenant.enabled else ():
            await rt.tenants.create(tenant)
        for role in ROLES:
            if role != "tenant" or settings.tenant.enabled:
                owner = TENANT if role == "tenant" else None
                keys[role] = (await access.create(f"a {role}", role=role, tenant=owner)).text
        yield Api(app, keys)


@pytest.fixture
async def api(on_valkey: Deployment, tmp_path: Path) -> AsyncIterator[Api]:
    async with started(on_valkey, tmp_path / "blobs") as found:
        yield found


@pytest.fixture
def blobs(tmp_path: Path) -> Path:
    return tmp_path / "blobs"
