"""`riptide audit`: who did what to which tenant."""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer
from rich.table import Table
from rich.text import Text

from riptide.cli import common, times
from riptide.errors import InvalidInput
from riptide.tenants.registry.audit import AuditRecord


def audit_command(
    tenant: Annotated[
        str | None, typer.Argument(metavar="[TENANT]", help="Whose trail; else the operators'.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="From then on: a time such as 2026-11-21T12:00Z, or 2h, 7d ago."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Until then; written as --since.")] = None,
    operation: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this, as in create, update, suspend, delete.")
    ] = None,
    actor: Annotated[str | None, typer.Option(metavar="WHO", help="Only by this actor.")] = None,
    result: Annotated[Literal["ok", "refused"] | None, typer.Option(help="Only this.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many at most, the newest.")] = 50,
    cursor: Annotated[
        str | None, typer.Option(metavar="ID", help="Go on where a page ended, as it says.")
    ] = None,
    as_json: common.Json = False,
) -> None:
    """Show who did what to a tenant, the newest first.

    Without a tenant: what outlives one, as its creation and its deletion. Records are kept
    security.audit_retention_days.

    Examples: 'riptide audit acme --since 7d'; 'riptide audit acme --operation suspend --json'.
    """
    with common.client() as (rt, _):
        page = rt.tenants.audit(
            tenant,
            since=_moment("--since", since),
            until=_moment("--until", until),
            operation=operation,
            actor=actor,
            result=result,
            limit=limit,
            cursor=cursor,
        )
    if as_json:
        common.print_json({"records": [_facts(record) for record in page.records], "cursor": page.cursor})
    elif not page.records:
        typer.echo("no records")
    else:
        common.show(_table(page.records))
        if page.cursor is not None:
            typer.echo(f"there may be more: --cursor {page.cursor}")


def _moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        seconds = times.span(option, text)
    except InvalidInput:
        return times.moment(option, text)
    now = time.time()
    if seconds > now:
        raise InvalidInput(f"{option}: {text[:80]!r} is too long ago")
    return datetime.fromtimestamp(now - seconds, UTC)


def _facts(record: AuditRecord) -> dict[str, Any]:
    at = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    return asdict(record) | {"timestamp": at.isoformat(timespec="milliseconds")}


def _table(records: list[AuditRecord]) -> Table:
    shown = Table(title="Audit trail (UTC)", title_justify="left", box=None, pad_edge=False)
    for heading in ("time", "tenant", "actor", "operation", "result", "about"):
        shown.add_column(heading, overflow="fold" if heading in {"actor", "about"} else "ellipsis")
    for record in records:
        what = record.operation if record.resource == "tenant" else f"{record.operation} {record.resource}"
        about = ", ".join(f"{name}: {_text(value)}" for name, value in record.metadata.items())
        cells = (record.tenant_id, record.actor, what, record.result, about)
        shown.add_row(common.moment(record.timestamp_ms), *(Text(common.printable(cell)) for cell in cells))
    return shown


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
