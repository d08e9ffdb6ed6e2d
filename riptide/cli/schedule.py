"""`riptide schedule`: what is published by the clock."""

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from riptide.cli import common
from riptide.clock import SystemClock
from riptide.errors import InvalidInput
from riptide.reads.sync_client import RipTide
from riptide.streams.registry import load_models
from riptide.streams.schedule.entries import Scheduled
from riptide.streams.schedule.firing import Schedules, State, open_schedules
from riptide.streams.schedule.timing import NEVER, slot_text

app = typer.Typer(
    help="What is published by the clock: RipTide's own schedules and those of schedule.entries.\n\n"
    "Every worker looks at them, whichever types it serves, and each slot is published once. All times are "
    "UTC, by the server's clock.",
    no_args_is_help=True,
)


@app.command("list")
def list_command(as_json: common.Json = False) -> None:
    """List the schedules: what, when, the last and the next slot, and why one is off."""
    with common.client() as (rt, _):
        schedules = _open(rt)
        state = rt.store.run(schedules.state())
        rows = [_facts(entry, state) for entry in schedules.listed]
        if as_json:
            common.print_json(rows)
        else:
            common.show(_table(rows))


@app.command("run")
def run_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A schedule, as 'schedule list' names it.")],
    as_json: common.Json = False,
) -> None:
    """Publish a schedule's command now, besides its slots, and print its reference.

    Example: riptide schedule run checkpoint
    """
    with common.client() as (rt, _):
        schedules = _open(rt)
        found = {entry.name: entry for entry in schedules.listed}
        if name not in found:
            raise InvalidInput(f"there is no schedule {name!r}; known are {', '.join(found)}")
        entry = found[name]
        if entry.off is not None:
            raise InvalidInput(f"schedule {name} is off: {entry.off}")
        now = rt.store.run(schedules.state()).now_ms
        slot = entry.timing.newest(now)
        outgoing = entry.outgoing(now if slot is None else slot)
        ref = rt.publish(outgoing.command, tenant=outgoing.tenant)
        common.print_json({"ref": str(ref)}) if as_json else typer.echo(ref)


def _open(rt: RipTide) -> Schedules:
    return open_schedules(rt.settings, load_models(rt.settings.workers.modules), SystemClock())


def _facts(entry: Scheduled, state: State) -> dict[str, Any]:
    last, following = state.last.get(entry.name), entry.timing.following(state.now_ms)
    return {
        "name": entry.name,
        "command": entry.model.type,
        "tenant": entry.tenant,
        "when": str(entry.timing),
        "last": None if last is None else slot_text(last.slot_ms),
        "ref": None if last is None else last.ref,
        "next": None if entry.off or following == NEVER else slot_text(following),
        "off": entry.off,
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    shown = Table(title="Schedules (UTC)", title_justify="left", box=None, pad_edge=False)
    for name in ("name", "command", "tenant", "when", "last", "next"):
        shown.add_column(name, overflow="fold" if name == "when" else "ellipsis")
    for row in rows:
        cells = [row[name] or "-" for name in ("name", "command", "tenant", "when", "last")]
        shown.add_row(*cells, Text(f"off: {row['off']}", "dim") if row["off"] else row["next"] or "never")
    return shown
