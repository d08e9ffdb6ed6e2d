"""`riptide state`: what is kept of the deployment's state, and where."""

from dataclasses import asdict
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.progress import Progress

from commands import Spill
from riptide.cli import common
from riptide.config.values import Bytes
from riptide.errors import InvalidInput, RiptideError
from riptide.reads.sync_client import RipTide
from riptide.streams.job import Progress as Told

app = typer.Typer(help="State: what sessions take, in memory and in the blob store.", no_args_is_help=True)
_PATIENCE_SECONDS = 300.0


@app.command("spill")
def spill_command(
    now: Annotated[bool, typer.Option("--now", help="Spill now, and wait until it is done.")] = False,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="BYTES",
            help="With --now: until sessions take at most so much memory, as in 20MiB; else 80 % of "
            "state.session_memory_bytes.",
        ),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(metavar="ID", help="With --now: sessions of one tenant; else of all.")
    ] = None,
    as_json: common.Json = False,
) -> None:
    """Show what sessions take, how many are spilled, and how long spilling and restoring takes."""
    if not now and (keep is not None or tenant is not None):
        raise InvalidInput("--keep and --tenant go with --now")
    with common.client() as (rt, _):
        if now:
            _spill(rt, Spill(keep_bytes=_bytes(keep)), tenant)
        figures = asdict(rt.sessions.figures())
    if as_json:
        common.print_json(figures)
        return
    for name, value in figures.items():
        typer.echo(f"{name}: {value:,}")


def _spill(rt: RipTide, command: Spill, tenant: str | None) -> None:
    """Raises RiptideError unless it was done."""
    quiet = not common.progress.is_terminal
    with Progress(console=common.progress, transient=True, disable=quiet) as bar:
        task = bar.add_task("Spilling", total=None)

        def show(told: Told) -> None:
            bar.update(task, completed=told.done, total=told.total)

        ended = rt.wait(rt.publish(command, tenant=tenant), _PATIENCE_SECONDS, show)
    if ended.state != "done":
        why = ended.error or "does a worker run?"
        raise RiptideError(f"the command {ended.ref} is {ended.state}, not done: {why}")


def _bytes(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return TypeAdapter(Bytes).validate_python(text)
    except ValidationError:
        raise InvalidInput(f"{text[:80]!r} is no number of bytes: write it as in 20MiB") from None
