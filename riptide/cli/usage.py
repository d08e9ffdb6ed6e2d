"""`riptide usage`: what tenants used."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from riptide.cli import common
from riptide.tenants.usage.reading import Amounts, Counted, Usage

app = typer.Typer(
    help="Usage of tenants: operations, bytes moved, milliseconds of computing and byte-hours of storage, "
    "each record counted exactly once.",
    no_args_is_help=True,
)
_METRICS = ("operations", "data_bytes", "compute_ms", "storage_bytes")


@app.callback()
def usage() -> None:
    """Keeps `show` a command of its own."""


@app.command("show")
def show_command(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.")],
    month: common.Month = None,
    hours: Annotated[
        bool, typer.Option("--hours", help="By hour of the month, too; hours are kept for 35 days.")
    ] = False,
    as_json: common.Json = False,
) -> None:
    """Show what a tenant used in a month, in all and by operation.

    storage_byte_hours: bytes held by its cache, over time, and bytes that records told of in storage_bytes,
    each for an hour. Adjustments are what came after the month had been sealed: they are contained in the
    sums, and the next invoice carries them. Records that still wait in their streams are not counted yet.

    Example: riptide usage show acme --month 2026-10
    """
    with common.client() as (rt, _):
        used = rt.usage.show(tenant, month)
        by_hour = rt.usage.hours(tenant, used.month) if hours else {}
    if as_json:
        common.print_json(_facts(used, by_hour if hours else None))
        return
    common.show(_table(used))
    if hours:
        common.show(_hours(by_hour))


def _facts(used: Usage, by_hour: Mapping[str, Counted] | None) -> dict[str, Any]:
    facts = asdict(used)
    facts["adjustments"] = _counted(used.adjustments)
    if by_hour is not None:
        facts["by_hour"] = {name: _counted(counted) for name, counted in by_hour.items()}
    return facts


def _counted(counted: Counted) -> dict[str, Any]:
    return {**asdict(counted.total), "by_operation": asdict(counted)["by_operation"]}


def _table(used: Usage) -> Table:
    sealed = ", sealed" if used.sealed else ""
    table = _empty(f"Usage of {used.tenant} in {used.month}{sealed}", "operation")
    for operation, amounts in used.by_operation.items():
        table.add_row(Text(operation), *_numbers(amounts))
    table.add_section()
    total = Amounts(used.operations, used.data_bytes, used.compute_ms, used.storage_bytes)
    table.add_row(Text("all"), *_numbers(total))
    if used.adjustments.by_operation:
        table.add_row(Text("adjustments, of all"), *_numbers(used.adjustments.total))
    table.caption = f"storage_byte_hours: {used.storage_byte_hours:,}"
    table.caption_justify = "left"
    return table


def _hours(by_hour: Mapping[str, Counted]) -> Table:
    table = _empty("By hour (UTC)", "hour")
    for name, counted in by_hour.items():
        table.add_row(Text(name), *_numbers(counted.total))
    return table


def _empty(title: str, first: str) -> Table:
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    table.add_column(first)
    for metric in _METRICS:
        table.add_column(metric, justify="right")
    return table


def _numbers(amounts: Amounts) -> list[str]:
    return [f"{getattr(amounts, metric):,}" for metric in _METRICS]
