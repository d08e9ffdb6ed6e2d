"""`/admin/audit`: who did what."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from riptide.api import models
from riptide.api.access.caller import Caller
from riptide.api.answers import answer, moment
from riptide.api.desk import desk
from riptide.api.documented import answers
from riptide.api.parameters import TENANT, Limit, Since, Until
from riptide.api.permits import permit
from riptide.tenants.registry.audit import AuditRecord

router = APIRouter(prefix="/admin", tags=["audit"])
# Times before Unix's have no number there.
_FIRST, _LAST = 0, 2**40 - 1

Name = Annotated[str | None, Query(min_length=1, max_length=200)]


@router.get("/audit", response_model=models.AuditPage, responses=answers())
async def show_audit(
    request: Request,
    caller: Annotated[Caller, permit("audit:read", of="tenant")],
    tenant: Annotated[
        str | None, Query(pattern=TENANT, description="Whose trail; left out, the operators'.")
    ] = None,
    since: Since = None,
    until: Until = None,
    operation: Name = None,
    actor: Name = None,
    result: Literal["ok", "refused"] | None = None,
    limit: Limit = 100,
    cursor: Annotated[
        str | None,
        Query(pattern=r"^[0-9]{1,19}-[0-9]{1,19}$", description="Go on where a page ended."),
    ] = None,
) -> Response:
    """Show who did what to a tenant, the newest first.

    Without a tenant: what outlives one, as its creation and its deletion.
    """
    page = await desk(request).rt.tenants.audit(
        tenant,
        since=_seconds(since),
        until=_seconds(until),
        operation=operation,
        actor=actor,
        result=result,
        limit=limit,
        cursor=cursor,
    )
    return answer({"records": list(map(_facts, page.records)), "cursor": page.cursor})


def _seconds(when: datetime | None) -> float | None:
    return None if when is None else min(max(when.timestamp(), _FIRST), _LAST)


def _facts(record: AuditRecord) -> dict[str, Any]:
    facts = asdict(record)
    facts["timestamp"] = moment(facts.pop("timestamp_ms"))
    return facts
