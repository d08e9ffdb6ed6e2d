"""`riptide tenant policies`: what a tenant may do."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from riptide.cli import common
from riptide.cli.common import cli_actor
from riptide.tenants.registry.tenant import Tenant

app = typer.Typer(
    help="What a tenant may do: rules that allow an action on a resource.\n\n"
    "Each of both is exact, a beginning with '*' after it, as in 'pages:*', or '*'. Without any rule a "
    "tenant may do everything; with one, only what a rule allows.",
    no_args_is_help=True,
)

Id = Annotated[str, typer.Argument(metavar="ID", help="The tenant's id.")]
Resource = Annotated[str, typer.Argument(metavar="RESOURCE", help="On what, as in 'pages:*'.")]
Action = Annotated[str, typer.Argument(metavar="ACTION", help="What, as in 'read'.")]


@app.command("list")
def policies_command(tenant: Id, as_json: common.Json = False) -> None:
    """List a tenant's rules."""
    with common.client() as (rt, _):
        _print(rt.tenants.show(tenant), as_json=as_json)


@app.command("allow")
def allow_command(tenant: Id, resource: Resource, action: Action, as_json: common.Json = False) -> None:
    """Add a rule. From the first one on, all that no rule allows is denied."""
    with common.client() as (rt, _):
        _print(rt.tenants.allow(tenant, resource, action, actor=cli_actor()), as_json=as_json)


@app.command("disallow")
def disallow_command(tenant: Id, resource: Resource, action: Action, as_json: common.Json = False) -> None:
    """Take back exactly that rule. After the last one everything is allowed again."""
    with common.client() as (rt, _):
        _print(rt.tenants.disallow(tenant, resource, action, actor=cli_actor()), as_json=as_json)


@app.command("check")
def check_command(tenant: Id, resource: Resource, action: Action, as_json: common.Json = False) -> None:
    """Say whether a tenant may do something: exit code 0 if so, 1 if not."""
    with common.client() as (rt, _):
        allowed = rt.tenants.validate_access(tenant, resource, action)
    if as_json:
        common.print_json({"allowed": allowed})
    else:
        typer.echo("allowed" if allowed else "denied")
    raise typer.Exit(0 if allowed else 1)


def _print(tenant: Tenant, *, as_json: bool) -> None:
    if as_json:
        common.print_json([asdict(rule) for rule in tenant.policies])
    elif not tenant.policies:
        typer.echo(f"{tenant.id} has no rules, so it may do everything")
    else:
        table = Table(title=f"What {tenant.id} may do", title_justify="left", box=None, pad_edge=False)
        for heading in ("action", "resource"):
            table.add_column(heading, overflow="fold")
        for rule in tenant.policies:
            table.add_row(Text(rule.action), Text(rule.resource))
        common.show(table)
