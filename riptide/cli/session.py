"""`riptide session`: sessions of tenants' users."""

from collections.abc import Iterable
from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any

import typer
from rich.table import Table

from riptide.cli import common
from riptide.errors import RiptideError
from riptide.names import DEFAULT_TENANT
from riptide.state.sessions.session import SessionInfo

app = typer.Typer(
    help="Sessions: list, show, terminate.\n\n"
    "Who knows the id of a session may have it: do not pass it around.",
    no_args_is_help=True,
)
Id = Annotated[str, typer.Argument(metavar="SESSION", help="The session's id, as 'list' shows it.")]
Tenant = Annotated[str, typer.Option(metavar="ID", help="Whose session it is.")]


@app.command("list")
def list_command(
    tenant: Tenant = DEFAULT_TENANT,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Only those of one user.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="So many at most.")] = 100,
    as_json: common.Json = False,
) -> None:
    """List a tenant's sessions, those of one user together, without their data.

    Example: riptide session list --tenant acme --user ada
    """
    with common.client() as (rt, _):
        found = list(islice(rt.sessions.list(tenant=tenant, user_id=user), limit + 1))
    shown = found[:limit]
    if as_json:
        common.print_json([asdict(one) for one in shown])
    else:
        common.show(_table(shown)) if shown else typer.echo("there are no sessions")
    if len(found) > limit:
        typer.echo(f"there are more: --limit, or --user; these are the first {limit:,}", err=True)


@app.command("show")
def show_command(session: Id, tenant: Tenant = DEFAULT_TENANT, as_json: common.Json = False) -> None:
    """Show a session with its data. One that was spilled is restored by that."""
    with common.client() as (rt, _):
        found = rt.sessions.get(session, tenant=tenant)
    if found is None:
        raise _none(tenant)
    if as_json:
        common.print_json(asdict(found))
        return
    for name, value in _facts(found).items():
        typer.echo(f"{name}: {common.printable(str(value))}")
    typer.echo("data:")
    common.print_json(dict(found.data))


@app.command("terminate")
def terminate_command(
    session: Id,
    tenant: Tenant = DEFAULT_TENANT,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: common.Json = False,
) -> None:
    """End a session."""
    with common.client() as (rt, _):
        if not yes:
            typer.confirm("End this session?", abort=True, err=True)
        if not rt.sessions.terminate(session, tenant=tenant):
            raise _none(tenant)
    common.print_json({"terminated": True}) if as_json else typer.echo("it has ended")


def _none(tenant: str) -> RiptideError:
    return RiptideError(f"the tenant {tenant} has no such session, or none any more")


def _facts(one: SessionInfo) -> dict[str, Any]:
    return {
        "session": one.id,
        "user": one.user_id,
        "since": common.moment(one.created_ms),
        "until": common.moment(one.expires_ms),
        "address": one.client_ip or "-",
        "source": one.source or "-",
        "client": one.user_agent or "-",
        "kept in": "blob store" if one.spilled else "memory",
    }


def _table(found: Iterable[SessionInfo]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("session", "user", "since", "until", "address", "source", "client", "kept in"):
        table.add_column(name, overflow="fold" if name in {"user", "source", "client"} else "ellipsis")
    for one in found:
        table.add_row(*(common.printable(str(value)) for value in _facts(one).values()))
    return table
