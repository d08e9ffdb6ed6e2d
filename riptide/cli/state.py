"""`riptide state`: what is kept of the deployment's state, and where."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from commands import Spill
from riptide.cli import common
from riptide.cli.command import NOT_FINISHED
from riptide.errors import InvalidInput, RiptideError
from riptide.reads.sync_client import RipTide
from riptide.streams.job import Progress as Told

app = typer.Typer(
    help="State: what sessions and entries take, in memory and in the blob store.", no_args_is_help=True
)
_PATIENCE_SECONDS = 300.0
_WRONG = "--keep is a number of bytes: write it as in 20MiB"


class What(StrEnum):
    sessions = "sessions"
    entries = "entries"


@app.command("spill")
def spill_command(
    what: Annotated[What, typer.Option(help="With --now: what to move.")] = What.sessions,
    now: Annotated[bool, typer.Option("--now", help="Spill now, and wait until it is done.")] = False,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="BYTES",
            help="With --now: until they take at most so much memory, as in 20MiB; else 80 % of "
            "state.session_memory_bytes, or of cache.max_memory_bytes.",
        ),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(metavar="ID", help="With --now: those of one tenant; else of all.")
    ] = None,
    as_json: common.Json = False,
) -> None:
    """Show what sessions and entries of the cache take, how many are spilled, and how long spilling and
    restoring takes.

    Example: riptide state spill --now --keep 20MiB --tenant acme
    """
    if not now and (keep is not None or tenant is not None or what is not What.sessions):
        raise InvalidInput("--what, --keep and --tenant go with --now")
    with common.client() as (rt, _):
        if now:
            body = {"what": what.value, "keep_bytes": None if keep is None else common.number(keep, _WRONG)}
            _spill(rt, common.made(Spill, body), tenant)
        figures = {"sessions": asdict(rt.sessions.figures()), "entries": asdict(rt.cache.figures())}
    if as_json:
        common.print_json(figures)
    else:
        common.show(_table(figures))


def _table(figures: dict[str, dict[str, float]]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("figure", no_wrap=True)
    for name in figures:
        table.add_column(name, justify="right")
    columns = list(figures.values())
    names = ["in all", *list(columns[0])[1:]]
    for name, *values in zip(names, *(column.values() for column in columns), strict=True):
        table.add_row(name, *(f"{value:,}" for value in values))
    return table


def _spill(rt: RipTide, command: Spill, tenant: str | None) -> None:
    """Raises RiptideError unless it was done, and ends with 3 where it is not finished."""
    quiet = not common.progress.is_terminal
    with Progress(console=common.progress, transient=True, disable=quiet) as bar:
        task = bar.add_task("Spilling", total=None)

        def show(told: Told) -> None:
            bar.update(task, completed=told.done, total=told.total)

        ended = rt.wait(rt.publish(command, tenant=tenant), _PATIENCE_SECONDS, show)
    if not ended.final:
        typer.echo(
            f"{ended.ref} is {ended.state}: no worker that serves 'spill' has finished it yet", err=True
        )
        raise typer.Exit(NOT_FINISHED)
    if ended.state != "done":
        raise RiptideError(f"the command {ended.ref} is {ended.state}, not done: {ended.error or ''}")
