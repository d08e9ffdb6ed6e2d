"""`riptide command`: what became of a command."""

from typing import Annotated, Any

import typer

from riptide.cli import common
from riptide.streams.status import Status


def command_command(
    ref: Annotated[str, typer.Argument(metavar="REF", help="Reference, as publishing printed it.")],
    wait: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Wait so long for its end.")] = 0,
    as_json: common.Json = False,
) -> None:
    """Tell where a command stands: queued, running, retrying, done, skipped, dead, or unknown."""
    with common.client() as (rt, _):
        print_status(rt.wait(ref, wait), as_json=as_json)


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
        "value": status.value,
    }
    return {name: value for name, value in found.items() if value is not None}


def print_status(status: Status, *, as_json: bool) -> None:
    known = facts(status)
    if as_json:
        common.print_json(known)
        return
    for name, value in known.items():
        typer.echo(f"{name:12} {value}")
