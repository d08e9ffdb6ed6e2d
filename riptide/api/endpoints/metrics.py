"""`GET /metrics`: what Prometheus reads."""

import asyncio

from fastapi import APIRouter, Request, Response

from riptide.api.documented import answers
from riptide.api.permits import permit
from riptide.api.problems import Problem
from riptide.metrics import CONTENT_TYPE

router = APIRouter(tags=["metrics"])


@router.get(
    "/metrics",
    dependencies=[permit("metrics:read")],
    response_class=Response,
    summary="All metrics as Prometheus's text",
    responses=answers(404, also={200: {"content": {"text/plain": {"example": "riptide_server_up 1.0\n"}}}}),
)
async def metrics(request: Request) -> Response:
    """Never waits for the server beyond the first time: it serves what was asked for last. Refused with
    `metrics-disabled` where `performance.enable_metrics` is off."""
    found = request.app.state.riptide.metrics
    if not found.enabled:
        raise Problem(404, "metrics-disabled", "Metrics are off", "performance.enable_metrics is off.")
    return Response(await asyncio.to_thread(found.render), media_type=CONTENT_TYPE)
