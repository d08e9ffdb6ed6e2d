"""A service that starts before its server: it starts, serves, says so, and recovers by itself."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

import riptide
from riptide.config import Settings
from tests.faults.outage.conftest import QUICK
from tests.servers import ServerProcess
from tests.support.deployment import make_settings
from tests.support.waiting import aeventually
from tests.support.workers import running_worker

pytestmark = pytest.mark.faults


def service(settings: Settings) -> FastAPI:
    rendered = 0

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with await riptide.aconnect(config=settings) as rt:
            app.state.rt = rt
            yield

    app = FastAPI(lifespan=lifespan)

    async def render() -> dict[str, int]:
        nonlocal rendered
        rendered += 1
        return {"rendered": rendered}

    @app.get("/page")
    async def page() -> Any:
        (await app.state.rt.quotas.check("default", {"operations_per_minute": 1})).raise_if_refused()
        return await app.state.rt.cache.get_or_load("page", render)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        found: dict[str, Any] = (await app.state.rt.health()).as_dict()
        return found

    return app


async def test_it_serves_before_while_and_after(
    private_server: Callable[..., ServerProcess], prefix: str
) -> None:
    server = private_server(aof=False)
    server.kill()
    settings = make_settings(server.url, prefix, redis=QUICK)
    app = service(settings)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service") as client,
    ):

        async def get(path: str) -> Any:
            answer = await client.get(path)
            assert answer.status_code == 200, answer.text
            return answer.json()

        async def state() -> str:
            assert await get("/page")
            return str((await get("/health"))["state"])

        async def cached() -> bool:
            return bool((await get("/page")) == (await get("/page")))

        for number in range(1, 5):
            assert await get("/page") == {"rendered": number}
        health = await get("/health")
        assert (health["state"], health["components"]["server"]["state"]) == ("degraded", "down")
        for _ in range(2):
            server.start()
            await aeventually(cached, "pages from the cache")
            async with running_worker(settings):

                async def ok() -> bool:
                    return await state() == "ok"

                await aeventually(ok, "health")
            server.kill()

            async def degraded() -> bool:
                return await state() == "degraded"

            await aeventually(degraded, "the outage to be told")
