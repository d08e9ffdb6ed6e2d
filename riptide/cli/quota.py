"""`riptide quota`: what tenants may use, and how much of it they do."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from riptide.cli import common
from riptide.errors import InvalidInput
from riptide.tenants.quotas.decision import Decision, Standing
from riptide.tenants.quotas.quotas import Quota

app = typer.Typer(help="Quotas of tenants: limits, and how much of them is used.", no_args_is_help=True)
_COLUMNS = ("limit", "used", "remaining", "resets in")

Id = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.")]


@app.command("show")
def show_command(tenant: Id, as_json: common.Json = False) -> None:
    """Show how a tenant stands with each resource. Nothing is taken.

    A limit comes from the tenant's record (override), from its plan, or is the deployment's default.
    """
    with common.client() as (rt, _):
        quotas = rt.quotas.show(tenant)
    if as_json:
        common.print_json({one.resource: {**_facts(one.standing), "source": one.source} for one in quotas})
        return
    common.show(_table(tenant, quotas))


@app.command("check")
def check_command(
    tenant: Id,
    amounts: Annotated[
        list[str], typer.Argument(metavar="RESOURCE=AMOUNT …", help="As in data_transfer_bytes=20MiB.")
    ],
    as_json: common.Json = False,
) -> None:
    """Take amounts of resources: all of them or, where one does not fit, none.

    Exit code 0: taken; 1: refused. Levels, such as memory_bytes, are compared alone.

    Example: riptide quota check acme operations_per_minute=1 data_transfer_bytes=20MiB
    """
    with common.client() as (rt, _):
        decision = rt.quotas.check(tenant, _amounts(amounts))
    if as_json:
        common.print_json(_decision(decision))
    else:
        for name, standing in decision.resources.items():
            typer.echo(f"{name}: {', '.join(_numbers(standing)[:3])} (limit, used, remaining)")
        typer.echo(_verdict(decision))
    raise typer.Exit(0 if decision else 1)


def _amounts(given: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in given:
        resource, _, text = one.partition("=")
        if resource in found:
            raise InvalidInput(f"{resource[:80]} is given twice")
        found[resource] = common.number(
            text,
            f"{one[:80]!r} is no amount: write it as in operations_per_minute=1 or data_transfer_bytes=20MiB",
        )
    return found


def _verdict(decision: Decision) -> str:
    if decision:
        return (
            "allowed: the server cannot be reached, and nothing is counted"
            if decision.degraded
            else "allowed"
        )
    if decision.status != "active":
        return f"refused: the tenant is {decision.status}{f' ({decision.why})' if decision.why else ''}"
    why = (
        "the server cannot be reached" if decision.degraded else f"not enough {', '.join(decision.violated)}"
    )
    wait = decision.retry_after
    return f"refused: {why}" + ("" if wait is None else f"; it would fit in {common.duration(wait)}")


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "allowed": decision.allowed,
        "status": decision.status,
        "why": decision.why,
        "resources": {name: _facts(standing) for name, standing in decision.resources.items()},
        "violated": decision.violated,
        "retry_after": decision.retry_after,
        "degraded": decision.degraded,
    }


def _facts(standing: Standing) -> Mapping[str, Any]:
    return {**asdict(standing), "remaining": standing.remaining}


def _table(tenant: str, quotas: Sequence[Quota]) -> Table:
    table = Table(title=Text(f"Quotas of {tenant}"), title_justify="left", box=None, pad_edge=False)
    table.add_column("resource")
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    table.add_column("source")
    for one in quotas:
        table.add_row(one.resource, *_numbers(one.standing), one.source)
    return table


def _numbers(standing: Standing) -> list[str]:
    limit, remaining = standing.limit, standing.remaining
    return [
        "unlimited" if limit < 0 else f"{limit:,}",
        f"{standing.used:,}",
        "-" if remaining is None else f"{remaining:,}",
        common.duration(standing.reset_after),
    ]
