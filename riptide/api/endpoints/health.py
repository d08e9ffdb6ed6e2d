"""`/health`: whether this process lives, whether it can serve, and how everything stands that it needs."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from riptide.api import models
from riptide.api.access.caller import Caller
from riptide.api.answers import answer
from riptide.api.desk import Desk, desk
from riptide.api.documented import Responses, answers
from riptide.api.permits import permit
from riptide.api.problems import Problem
from riptide.reads.health import health

router = APIRouter(prefix="/health", tags=["health"])
_DOWN: Responses = {503: {"model": models.HealthFacts, "description": "What it needs is not there."}}

Watches = Annotated[Caller, permit("health:read")]


@router.get("/live", response_model=models.Alive)
async def live() -> Response:
    """Whether this process answers at all. No key is needed, and no server is asked."""
    return alive()


@router.get("/ready", response_model=models.Alive, responses=answers())
async def ready(request: Request, caller: Watches) -> Response:
    """Whether requests should be sent here: 503 while what it needs is not there, and when it is stopping.

    A degraded one is ready: it serves, with less than all of it.
    """
    return await readiness(desk(request))


@router.get("", response_model=models.HealthFacts, responses=answers(also=_DOWN))
async def components(request: Request, caller: Watches) -> Response:
    """Show how everything stands that this process needs, each part with what to do."""
    found = await health(desk(request).rt)
    return answer(found.as_dict(), 503 if found.state == "down" else 200)


def alive() -> Response:
    return answer({"state": "ok"})


async def readiness(at: Desk) -> Response:
    """Raises Problem."""
    if at.stopping.is_set():
        raise _not_ready("it is stopping")
    found = await health(at.rt)
    # A service may do without its server; the API knows nobody then.
    if down := [one.says for one in found.components.values() if one.state == "down"]:
        raise _not_ready("; ".join(down))
    return answer({"state": found.state})


def _not_ready(why: str) -> Problem:
    return Problem(503, "not-ready", "Do not send requests here now", why, headers={"Retry-After": "1"})
