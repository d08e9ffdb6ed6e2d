"""Answers that go out as they are: the models in the signatures document them."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from fastapi import Request, Response
from pydantic_core import to_json

from riptide.api.desk import Desk
from riptide.errors import ServerRefused, ServerUnavailable
from riptide.streams.message import Ref
from riptide.streams.status import Status

_JSON = "application/json"


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(to_json(value), status, headers, _JSON)


@lru_cache(maxsize=4096)
def moment(milliseconds: int) -> str | None:
    """A time as RFC 3339 has it; None for none."""
    if not milliseconds:
        return None
    text = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def location(request: Request, path: str) -> dict[str, str]:
    return {"Location": f"{request.scope.get('root_path', '')}{path}"}


async def accepted(request: Request, desk: Desk, ref: Ref, wait: float | None) -> Response:
    """202 with the command's reference, or, having waited for its end, 200 with what became of it.

    It is published: also who cannot be told how it stands has to learn its reference, or would publish it
    again.
    """
    headers = location(request, f"/commands/{ref}")
    if wait:
        with suppress(ServerUnavailable, ServerRefused):
            status = await desk.wait(ref, wait)
            return answer(status_facts(status), 200 if status.final else 202, headers)
    return answer({"ref": str(ref)}, 202, headers)


def status_facts(status: Status) -> dict[str, Any]:
    """What is known of a command, without what is not."""
    dead = None if status.dead_id is None else Ref(status.ref.kind, status.ref.partition, status.dead_id)
    found = {
        "ref": str(status.ref),
        "state": status.state,
        "attempts": status.attempts,
        "worker": status.worker,
        "error": status.error,
        "due": None if status.due_ms is None else moment(status.due_ms),
        "dead_letter": None if dead is None else str(dead),
        "progress": status.progress,
        "value": status.value,
    }
    return {name: value for name, value in found.items() if value is not None}
