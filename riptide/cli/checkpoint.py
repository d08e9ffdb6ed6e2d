"""`riptide checkpoint`: the state in the blob store, and back from there."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from riptide.cli import common
from riptide.config import Settings
from riptide.errors import InvalidInput, RiptideError
from riptide.state.checkpoints.manifest import Manifest
from riptide.state.checkpoints.shelf import Shelf
from riptide.state.checkpoints.writing import Told
from riptide.state.restore.report import Report
from riptide.state.restore.restoring import restore

app = typer.Typer(
    help="Checkpoints: the state in the blob store (blobs.url), from which it can be brought back.\n\n"
    "Workers write one every state.checkpoint_interval_seconds; state.max_checkpoints are kept. These "
    "commands do their work themselves: no worker is needed.",
    no_args_is_help=True,
)
#: The others are written by workers, and say so.
_BY_HAND = ("manual", "emergency")
Id = Annotated[
    str, typer.Argument(metavar="ID", help="A checkpoint, as 'checkpoint list' names it, or 'newest'.")
]


@app.command("create")
def create_command(
    kind: Annotated[
        str, typer.Option(metavar="KIND", help=f"Why it is written: {', '.join(_BY_HAND)}.")
    ] = "manual",
    note: Annotated[str, typer.Option(help="Shown where checkpoints are listed.")] = "",
    as_json: common.Json = False,
) -> None:
    """Write a checkpoint now, while everything goes on, and print its id.

    Example: riptide checkpoint create --note 'before the upgrade'
    """
    if kind not in _BY_HAND:
        raise InvalidInput(f"--kind is one of {', '.join(_BY_HAND)}")
    shelf = Shelf(common.settings())
    with _bar("Writing", quiet=as_json) as told:
        manifest = shelf.create(kind, note, actor=common.cli_actor(), told=told)
    common.print_json(manifest.model_dump()) if as_json else typer.echo(manifest.id)


@app.command("list")
def list_command(as_json: common.Json = False) -> None:
    """List the checkpoints, newest first. One that is being written is not among them."""
    shelf = Shelf(common.settings())
    found, problems = shelf.list()
    if as_json:
        common.print_json({"checkpoints": [one.model_dump() for one in found], "problems": problems})
    else:
        common.show(_table(found)) if found else typer.echo(_none(shelf))
        for problem in problems:
            typer.echo(problem)
    if problems:
        raise RiptideError(f"{len(problems)} of the checkpoints cannot be read")


def _table(found: list[Manifest]) -> Table:
    table = Table(title="Checkpoints (UTC)", title_justify="left", box=None, pad_edge=False)
    for name in ("id", "kind", "begun", "seconds", "tenants", "unfinished", "bytes", "note"):
        right = name not in {"id", "kind", "begun", "note"}
        table.add_column(
            name, justify="right" if right else "left", overflow="fold" if name == "note" else "ellipsis"
        )
    for one in found:
        table.add_row(
            one.id,
            one.kind,
            common.moment(one.begun_ms),
            f"{one.seconds:.1f}",
            f"{one.tenants:,}",
            f"{one.unfinished:,}",
            f"{one.size:,}",
            common.printable(one.note),
        )
    return table


@app.command("show")
def show_command(checkpoint: Id, as_json: common.Json = False) -> None:
    """Show what a checkpoint says of itself: what it holds, and how far usage is counted in each
    partition."""
    shelf = Shelf(common.settings())
    manifest = shelf.show(_chosen(shelf, checkpoint))
    if as_json:
        common.print_json(manifest.model_dump())
        return
    common.show(_table([manifest]))
    for name, count in manifest.keys.items():
        typer.echo(f"{name}: {count:,} keys")
    if manifest.left_out:
        typer.echo(f"left out: {manifest.left_out:,} spilled sessions whose data was missing or damaged")
    _print_positions(manifest.positions, "counted")


@app.command("verify")
def verify_command(checkpoint: Id, as_json: common.Json = False) -> None:
    """Read all of a checkpoint and check it. The exit code is 1 if anything is not as it was written."""
    shelf = Shelf(common.settings())
    chosen = _chosen(shelf, checkpoint)
    with _bar("Verifying", quiet=as_json) as told:
        manifest = shelf.verify(chosen, told)
    if as_json:
        common.print_json({"checkpoint": manifest.id, "frames": manifest.frames, "bytes": manifest.size})
    else:
        typer.echo(f"{manifest.id}: {manifest.frames:,} frames with {manifest.size:,} bytes are intact")


@app.command("restore")
def restore_command(
    checkpoint: Id,
    tenant: Annotated[
        list[str] | None, typer.Option("--tenant", help="Only this tenant; may be given several times.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Verify everything, and only tell what would change.")
    ] = False,
    as_json: common.Json = False,
) -> None:
    """Bring back what a checkpoint holds, and usage that was archived after it.

    Everything is verified before anything is written. What is there already stays as it is; a tenant that was
    purged stays purged. If it is interrupted, run it again: it ends the same.

    Into an empty server: restore first, then start the workers.

    Examples: 'riptide checkpoint restore newest --dry-run'; 'riptide checkpoint restore newest --tenant
    acme'.
    """
    settings = common.settings()
    shelf = Shelf(settings)
    chosen = _chosen(shelf, checkpoint)
    with _bar("Restoring", quiet=as_json) as told:
        report = restore(
            settings,
            shelf,
            chosen,
            tenants=tenant,
            dry_run=dry_run,
            actor=common.cli_actor(),
            told=told,
        )
    common.print_json(report.facts()) if as_json else _print(report, settings)


def _none(shelf: Shelf) -> str:
    return f"there are no checkpoints in {shelf.blobs.place}"


def _chosen(shelf: Shelf, checkpoint: str) -> str:
    if checkpoint != "newest":
        return checkpoint
    if not (ids := shelf.ids()):
        raise InvalidInput(_none(shelf))
    return ids[0]


@contextmanager
def _bar(what: str, *, quiet: bool) -> Iterator[Told]:
    hidden = quiet or not common.progress.is_terminal
    with Progress(console=common.progress, transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=None)

        def told(done: float, total: float, doing: str) -> None:
            bar.update(task, completed=done, total=total, description=f"{what}: {doing}")

        yield told


def _print(report: Report, settings: Settings) -> None:
    verb = "would be" if report.dry_run else "was"
    rows: list[tuple[str, Any]] = [(f"tenants {what}", count) for what, count in report.tenants.items()]
    rows += [(f"{name} added", count) for name, count in report.facts()["items"].items()]
    rows += [
        ("sums of usage corrected", report.corrected),
        ("usage records that came after the checkpoint", report.counted),
        ("unfinished commands published again", report.commands),
    ]
    table = Table(title=f"What {verb} restored", title_justify="left", box=None, pad_edge=False)
    table.add_column("what")
    table.add_column("how many", justify="right")
    for name, count in rows:
        table.add_row(name, f"{count:,}")
    common.show(table)
    _print_positions(report.positions, "complete")
    for partition, position in report.beyond.items():
        typer.echo(
            f"of some tenants it is there up to {position} in partition {partition}, as the checkpoint has it"
        )
    if not settings.streams.archive:
        typer.echo("streams.archive is off: what came after the checkpoint is not known")


def _print_positions(positions: Mapping[str, str], how: str) -> None:
    for partition, position in sorted(positions.items(), key=lambda one: int(one[0])):
        if position != "0-0":
            typer.echo(f"usage of partition {partition} is {how} up to {position}")
