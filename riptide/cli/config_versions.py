"""`riptide config history | diff | rollback | apply`: the configuration that the deployment shares."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from riptide.cli import common
from riptide.config.document import Difference, differences
from riptide.reads.sync_client import RipTide
from riptide.state.live.versions import History, Version
from riptide.streams.message import Ref

FAILED, NOT_FINISHED = 1, 3
_WAIT_SECONDS = 30.0
_MOST_LISTED = 5

Number = Annotated[
    int | None, typer.Argument(metavar="VERSION", min=1, help="Its number.", show_default=False)
]


def history_command(as_json: common.Json = False) -> None:
    """List the versions of the configuration, the newest first: whence each came, and what it changed.

    Below them stands what was refused since the last was accepted, and why.
    """
    with common.client() as (rt, _):
        found = rt.state.history()
        if as_json:
            common.print_json(_history_facts(found))
        elif not found.versions:
            typer.echo("no version yet: every process has what its own file says")
        else:
            common.show(_history_table(found))
        if found.refused is not None and not as_json:
            refused = found.refused
            whose = f"from {common.printable(refused.origin)}"
            why = "\n".join(map(common.printable, refused.why.splitlines()))
            typer.echo(f"refused at {common.moment(refused.at_ms)}, {whose}: {why}")


def diff_command(
    before: Annotated[
        int | None,
        typer.Argument(metavar="BEFORE", min=1, help="A version; the one before AFTER, if it is left out."),
    ] = None,
    after: Annotated[
        int | None,
        typer.Argument(metavar="AFTER", min=1, help="A version; the current one, if it is left out."),
    ] = None,
    as_json: common.Json = False,
) -> None:
    """Show what two versions of the configuration write differently, variables as they are written."""
    with common.client() as (rt, _):
        _show(rt.state.diff(before, after), as_json)


def rollback_command(number: Number = None, as_json: common.Json = False) -> None:
    """Go back to an earlier version in every process; without VERSION to the one before the current.

    The files stay as they are: whoever edits one next brings that back with all that is in it.

    Example: riptide config rollback 7
    """
    with common.client() as (rt, _):
        _finish(rt, rt.state.rollback(number), as_json)


def apply_command(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="PATH", help="A file instead of RIPTIDE_CONFIG or config/persistence.yml."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would change.")] = False,
    as_json: common.Json = False,
) -> None:
    """Switch every process to what a file says now, as workers do by themselves when theirs changes.

    For hosts without a worker, and for a file that was refused because it looked cut off.

    Example: riptide config apply config/persistence.yml --dry-run
    """
    with common.client() as (rt, _):
        if dry_run:
            _show(rt.state.apply_diff(path), as_json)
            return
        if not as_json:
            _show(rt.state.apply_diff(path), as_json)
        _finish(rt, rt.state.apply(path), as_json)


def _finish(rt: RipTide, ref: Ref, as_json: bool) -> None:
    with common.progress.status("waiting for a worker to accept it"):
        status = rt.wait(ref, _WAIT_SECONDS)
    if status.state == "done":
        if as_json:
            common.print_json(status.value)
            return
        value = status.value
        typer.echo(f"the configuration is version {value['version']} now")
        if value["restart"]:
            typer.echo(f"these need a restart: {', '.join(value['restart'])}")
        return
    if status.final:
        typer.echo(f"{ref} is {status.state}: {status.error or ''}", err=True)
        raise typer.Exit(FAILED)
    typer.echo(f"{ref} is {status.state}: no worker that serves 'reload' has finished it yet", err=True)
    raise typer.Exit(NOT_FINISHED)


def _show(found: list[Difference], as_json: bool) -> None:
    if as_json:
        common.print_json(
            [
                {"setting": one.path, "before": one.before, "after": one.after, "restart": not one.live}
                for one in found
            ]
        )
    elif not found:
        typer.echo("no difference")
    else:
        table = Table(box=None, header_style="bold")
        for heading in ("setting", "before", "after", ""):
            table.add_column(heading, overflow="fold" if heading in {"before", "after"} else "ellipsis")
        for one in found:
            needs = "" if one.live else "needs a restart"
            table.add_row(*map(Text, (one.path, _written(one.before), _written(one.after), needs)))
        common.show(table)


def _written(value: Any) -> str:
    if value is None:
        return "-"
    return common.printable(value if isinstance(value, str) else json.dumps(value))


def _changed(version: Version, versions: list[Version]) -> list[str]:
    older = next((one for one in versions if one.number == version.number - 1), None)
    return [] if older is None else [one.path for one in differences(older.document, version.document)]


def _listed(changed: list[str], number: int) -> str:
    """A name a line, and no page of them."""
    lines = changed[:_MOST_LISTED]
    if more := len(changed) - len(lines):
        lines.append(f"and {more}: config diff {number - 1} {number}")
    return "\n".join(lines) or "-"


def _history_facts(found: History) -> dict[str, Any]:
    refused = found.refused
    return {
        "current": found.current or None,
        "refused": None
        if refused is None
        else {"at": common.moment(refused.at_ms), "origin": refused.origin, "why": refused.why},
        "versions": [
            {
                "number": one.number,
                "id": one.id,
                "at": common.moment(one.at_ms),
                "origin": one.origin,
                "current": one.id == found.current,
                "changed": _changed(one, found.versions),
                "settings": dict(one.document.given),
                "plans": (one.document.plans or {}).get("plans"),
            }
            for one in found.versions
        ],
    }


def _history_table(found: History) -> Table:
    table = Table(box=None, header_style="bold")
    for heading in ("version", "accepted (UTC)", "from", "changed"):
        table.add_column(heading, overflow="fold" if heading == "from" else "ellipsis")
    for one in found.versions:
        style = "bold" if one.id == found.current else ""
        changed = _listed(_changed(one, found.versions), one.number)
        row = (one.id, common.moment(one.at_ms), common.printable(one.origin), changed)
        table.add_row(*(Text(cell, style) for cell in row))
    return table
