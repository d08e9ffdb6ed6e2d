"""`riptide command`: what became of a command."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import Progress as Bar

from riptide.cli import common
from riptide.reads.sync_client import RipTide
from riptide.streams.job import Progress
from riptide.streams.message import Ref
from riptide.streams.status import Status

DEAD, NOT_FINISHED, UNKNOWN = 1, 3, 4


def command_command(
    ref: Annotated[str, typer.Argument(metavar="REF", help="Reference, as publishing printed it.")],
    wait: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Wait so long for its end.")] = 0,
    as_json: common.Json = False,
) -> None:
    """Tell where a command stands: queued, scheduled, running, retrying, done, skipped, dead, cancelled, or
    unknown.

    The exit code is 1 if it is dead or was cancelled, and 4 if it is unknown: never published here, or so
    long ago that its entry is gone. With --wait it is 3 if it is not finished by then. Else it is 0.

    Example: riptide command invalidate.10.1763730000000-0 --wait 5
    """
    with common.client() as (rt, _):
        status = wait_shown(rt, ref, wait, quiet=as_json)
    print_status(status, as_json=as_json)
    exit_by(status, waited=wait > 0)


def cancel_command(
    ref: Annotated[str, typer.Argument(metavar="REF", help="Reference, as publishing printed it.")],
    as_json: common.Json = False,
) -> None:
    """Cancel a command that no worker has been given: queued, scheduled, or waiting for a retry.

    The exit code is 0 if it is cancelled, now or earlier, and never runs; 3 if it is running; 1 if it has
    ended; and 4 if it is unknown.
    """
    with common.client() as (rt, _):
        status = rt.cancel(ref)
    print_status(status, as_json=as_json)
    if status.state == "unknown":
        raise typer.Exit(UNKNOWN)
    if status.state != "cancelled":
        raise typer.Exit(DEAD if status.final else NOT_FINISHED)


def wait_shown(rt: RipTide, ref: Ref | str, seconds: float, *, quiet: bool) -> Status:
    """Wait for a command's end; how far it is shows on a terminal, unless `quiet`."""
    if quiet or not seconds or not common.progress.is_terminal:
        return rt.wait(ref, seconds)
    with Bar(console=common.progress, transient=True) as bar:
        task = bar.add_task(str(ref), total=None)

        def show(progress: Progress) -> None:
            note = f"{ref}  {progress.note}" if progress.note else str(ref)
            bar.update(task, completed=progress.done, total=progress.total, description=escape(note))

        return rt.wait(ref, seconds, show)


def facts(status: Status) -> dict[str, Any]:
    """What is known of a command, without what is not."""
    found = {
        "ref": str(status.ref),
        "state": status.state,
        "attempts": status.attempts,
        "worker": status.worker,
        "error": status.error,
        "due": None if status.due_ms is None else common.moment(status.due_ms),
        "dead_letter": None
        if status.dead_id is None
        else f"{status.ref.kind}.{status.ref.partition}.{status.dead_id}",
        "progress": None if status.progress is None else asdict(status.progress),
        "value": status.value,
    }
    return {name: value for name, value in found.items() if value is not None}


def exit_by(status: Status, *, waited: bool) -> None:
    """End with the exit code that tells `status`; `waited` for its end, it is expected to be final."""
    if status.state in {"dead", "cancelled"}:
        raise typer.Exit(DEAD)
    if status.state == "unknown":
        raise typer.Exit(UNKNOWN)
    if waited and not status.final:
        raise typer.Exit(NOT_FINISHED)


def print_status(status: Status, *, as_json: bool) -> None:
    known = facts(status)
    if as_json:
        common.print_json(known)
        return
    if status.progress is not None:
        known["progress"] = _reached(status.progress)
    for name, value in known.items():
        typer.echo(f"{name:12} {common.printable(str(value))}")


def _reached(progress: Progress) -> str:
    """As people read it: `40 of 100 (40 %), what it is at`."""
    text = f"{progress.done:,g}"
    if progress.total:
        text += f" of {progress.total:,g} ({100 * progress.done / progress.total:.0f} %)"
    return f"{text}, {progress.note}" if progress.note else text
