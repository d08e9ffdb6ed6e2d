"""The HTTP API as an ASGI application."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import cache
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.applications import Starlette
from starlette.routing import Route

from riptide.api import errors
from riptide.api.access.access import Access
from riptide.api.answers import answer
from riptide.api.bounds import Bounds
from riptide.api.desk import Desk
from riptide.api.endpoints import accounts, audit, commands, health, keys, metrics, state, streams, tenants
from riptide.api.endpoints import cache as cached
from riptide.api.openapi import document
from riptide.api.permits import permit
from riptide.config import Loaded, Settings, load
from riptide.errors import RiptideError, ServerUnavailable
from riptide.logger import get_logger
from riptide.reads.aio_client import aconnect
from riptide.store.keys import Keys
from riptide.streams.registry import load_models
from riptide.tenants.plans import load_plans

_PATIENCE_SECONDS = 5.0
_ABOUT = (
    "RipTide over HTTP. What is a command answers 202 with its reference, or waits with `?wait=`; all else "
    "answers at once. Each refusal is a problem (RFC 9457) with a stable type."
)


def create_app(config: Settings | Loaded | None = None) -> FastAPI:
    """The API of one deployment; by default of the configured one. Raises ConfigError.

    It connects when it is started, and needs no server for that.
    """
    given = load() if config is None else config
    settings = given.settings if isinstance(given, Loaded) else given
    models = load_models(settings.workers.modules)
    app = FastAPI(
        title="RipTide",
        version=version("riptide-persistence"),
        description=_ABOUT,
        lifespan=_lifespan(given),
        # Its own is open to all; ours is below.
        openapi_url=None,
        redirect_slashes=False,
    )
    own = APIRouter(tags=["health"])
    own.add_api_route(
        "/openapi.json", _document, dependencies=[permit("health:read")], response_model=dict[str, Any]
    )
    subjects = (tenants, accounts, cached, state, streams, audit, keys, health, metrics)
    for router in (
        tenants.direct,
        *(subject.router for subject in subjects),
        commands.make_router(models),
        own,
    ):
        # As they are: newer releases of FastAPI wrap what is included, and look through it at each request.
        app.router.routes.extend(router.routes)
    plans = load_plans(settings.tenant.plans_file).plans
    app.openapi = cache(lambda: document(app, models.values(), plans))  # type: ignore[method-assign]
    errors.install(app)
    app.add_middleware(Bounds, settings=settings.api)
    return app


def _lifespan(given: Settings | Loaded) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with await aconnect(config=given, role="api") as rt:
            app.state.riptide, app.state.access = rt, Access(rt)
            models = load_models(rt.settings.workers.modules)
            app.state.desk = Desk(rt, Keys(rt.settings.cache.key_prefix), models)
            first = asyncio.ensure_future(_first_key(app.state.access))
            yield
            first.cancel()
            with suppress(RiptideError):
                await app.state.access.report(all_of_them=True)

    return lifespan


async def _first_key(access: Access) -> None:
    """A deployment without a key gets one, as soon as the server can be reached."""
    while True:
        try:
            await access.announce_first()
            return
        except ServerUnavailable:
            await asyncio.sleep(_PATIENCE_SECONDS)
        except RiptideError as error:
            get_logger("riptide.api").error("there may be no key for the API yet", error=str(error))
            return


async def _document(request: Request) -> Response:
    """This document."""
    return answer(request.app.openapi())


def create_probe(app: FastAPI) -> Starlette:
    """What answers without a key, on a port of its own: whether `app` lives and is ready, and its metrics."""

    async def live(_: Request) -> Response:
        return health.alive()

    async def ready(_: Request) -> Response:
        return await health.readiness(app.state.desk)

    async def measured(request: Request) -> Response:
        return await metrics.metrics(Request({**request.scope, "app": app}))

    answered = {"/health/live": live, "/health/ready": ready, "/metrics": measured}
    probe = Starlette(routes=[Route(path, answer) for path, answer in answered.items()])
    errors.install(probe)
    return probe
