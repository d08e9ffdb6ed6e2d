"""Parameters that several endpoints take, with their bounds."""

import re
from typing import Annotated, Any

from fastapi import Header, Path, Query
from pydantic import AwareDatetime, BeforeValidator

from riptide.names import TENANT_PATTERN

TENANT = TENANT_PATTERN.replace(r"\Z", "$")
REF = r"^[a-z][a-z0-9_]{0,62}\.[0-9]{1,5}\.[0-9]{1,19}-[0-9]{1,19}$"
CHECKPOINT = r"^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$"
_MONTH = r"^(19[7-9][0-9]|[2-8][0-9]{3})-(0[1-9]|1[0-2])$"
_VISIBLE = r"^[!-~]+$"


def _written_out(value: Any) -> Any:
    """Numbers of seconds are no times here."""
    if isinstance(value, str) and not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", value):
        raise ValueError("write a time as in 2026-11-21T12:00:00Z")
    return value


#: A time with its offset from UTC, as RFC 3339 writes it.
Instant = Annotated[AwareDatetime, BeforeValidator(_written_out)]

TenantPath = Annotated[str, Path(pattern=TENANT, description="The tenant's id.", examples=["acme"])]
TenantQuery = Annotated[
    str, Query(pattern=TENANT, description="Whose, by the tenant's id.", examples=["acme"])
]
AnyTenant = Annotated[
    str | None,
    Query(pattern=TENANT, description="Only this tenant; left out, all.", examples=["acme"]),
]
Limit = Annotated[int, Query(ge=1, le=1000, description="So many at most.")]
Wait = Annotated[
    float | None,
    Query(
        ge=0,
        le=3600,
        description="Seconds to wait for the command's end, at most `api.max_wait_seconds`: the "
        "answer is 200 if it has ended by then, else 202.",
        examples=[5],
    ),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=_VISIBLE,
        description="A text of the caller's choice, visible ASCII: the same one does it once, within "
        "`streams.idempotency_window_seconds`.",
    ),
]
CommandRef = Annotated[
    str,
    Path(
        pattern=REF,
        description="A command's reference, as publishing answered it.",
        examples=["warm.10.1763700000000-0"],
    ),
]
RefCursor = Annotated[
    str | None, Query(pattern=REF, description="Go on where a page ended, as its `cursor` says.")
]
TenantCursor = Annotated[
    str | None, Query(pattern=TENANT, description="Go on where a page ended, as its `cursor` says.")
]
Month = Annotated[
    str | None,
    Query(pattern=_MONTH, description="A month in UTC; left out, the present one.", examples=["2026-11"]),
]
OnlyMonth = Annotated[
    str | None, Query(pattern=_MONTH, description="Only of this month.", examples=["2026-11"])
]
Since = Annotated[Instant | None, Query(description="From then on.", examples=["2026-11-21T12:00:00Z"])]
Until = Annotated[Instant | None, Query(description="Until then.", examples=["2026-11-22T00:00:00Z"])]
CheckpointId = Annotated[
    str,
    Path(
        pattern=CHECKPOINT,
        description="A checkpoint's id.",
        examples=["20261120T120500Z-1f3a9c07"],
    ),
]
IfMatch = Annotated[
    str | None,
    Header(description="Only if the tenant still has one of these entity tags.", examples=['"3f2a.4"']),
]
IfNoneMatch = Annotated[
    str | None, Header(description="304 if it still has one of these entity tags.", examples=['"3f2a.4"'])
]
