"""`riptide workers`, `quiet`, `pause`, `resume`: who works, and who or what shall rest."""

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from riptide.cli import common
from riptide.errors import InvalidInput
from riptide.streams.members import Member
from riptide.streams.message import Ref
from riptide.streams.registry import load_models

Worker = Annotated[
    str, typer.Argument(metavar="WORKER", help="Its name, as 'workers' shows it, or the beginning of that.")
]
Type = Annotated[
    str, typer.Argument(metavar="TYPE", help="Type of command.", autocompletion=common.complete_type)
]

_YEAR_9999_MS = 253_370_764_800_000


def workers_command(as_json: common.Json = False) -> None:
    """List the workers: what they serve and run, since when they live, and which are quiet; and services
    and HTTP APIs, which follow the configuration. Each shows its role, its release, and which version of the
    configuration it has.

    Position is when the newest command that a worker has settled was published; --json has its reference, by
    type.

    A worker that has been silent for longer than workers.lease_seconds is about to be taken over.
    """
    with common.client() as (rt, _):
        members = rt.state.members()
        if as_json:
            common.print_json([_facts(member) for member in members])
        elif not members:
            typer.echo("no workers")
        else:
            types = load_models(rt.settings.workers.modules)
            common.show(_table(members, rt.settings.workers.lease_seconds, set(types)))


def quiet_command(
    worker: Worker,
    end: Annotated[bool, typer.Option("--end", help="Let it start commands again.")] = False,
    as_json: common.Json = False,
) -> None:
    """Ask one worker to start nothing more, within a heartbeat (a second); what it runs goes on.

    It lasts until --end, or until the process ends.
    """
    with common.client() as (rt, _):
        changed = rt.end_quiet(worker) if end else True
        name = worker if end else rt.quiet(worker).name
        ended = f"{name} goes on" if changed else f"{name} was not quiet"
        _tell(as_json, {"worker": name, "changed": changed}, ended if end else f"{name} starts nothing more")


def pause_command(
    kind: Type,
    why: Annotated[str, typer.Option(metavar="TEXT", help="Why, for others to read.")] = "",
    as_json: common.Json = False,
) -> None:
    """Let no worker start another command of one type, within a heartbeat (a second); what runs goes on.

    Publishing goes on too. It lasts until 'riptide resume', also when workers or the server start anew.

    Example: riptide pause warm --why 'the origin is down'
    """
    with common.client() as (rt, _):
        changed = rt.pause(kind, why)
        text = f"{kind} is paused" if changed else f"{kind} was paused already"
        _tell(as_json, {"type": kind, "changed": changed}, text)


def resume_command(kind: Type, as_json: common.Json = False) -> None:
    """Let workers start commands of a paused type again."""
    with common.client() as (rt, _):
        changed = rt.resume(kind)
        text = f"{kind} goes on" if changed else f"{kind} was not paused"
        _tell(as_json, {"type": kind, "changed": changed}, text)


def _tell(as_json: bool, facts: dict[str, Any], text: str) -> None:
    common.print_json(facts) if as_json else typer.echo(text)


def _facts(member: Member) -> dict[str, Any]:
    return {
        "name": member.name,
        "process": member.process,
        "role": member.role,
        "host": member.host,
        "pid": member.pid,
        "version": member.version,
        "config": member.config or None,
        "commands": list(member.commands),
        "running": dict(member.running),
        "position": dict(member.position),
        "started": common.moment(member.started_ms),
        "silent_seconds": round(member.silent_seconds, 3),
        "quiet": None
        if member.quiet_ms is None
        else {"since": common.moment(member.quiet_ms), "by": member.quiet_by},
    }


def _position(member: Member) -> str:
    moments = [_published_ms(ref) for ref in member.position.values()]
    return common.moment(max(moments)) if moments else "-"


def _published_ms(ref: str) -> int:
    """What others say may be anything; 0 where it can be no time."""
    try:
        published = int(Ref.parse(ref).entry_id.partition("-")[0])
    except InvalidInput:
        return 0
    return published if published < _YEAR_9999_MS else 0


def _table(members: list[Member], lease_seconds: float, types: set[str]) -> Table:
    shown = Table(title="Workers", title_justify="left", box=None, pad_edge=False, collapse_padding=True)
    for name in (
        "name",
        "role",
        "version",
        "config",
        "since (UTC)",
        "last beat",
        "position (UTC)",
        "runs",
        "serves",
        "",
    ):
        shown.add_column(name, overflow="fold" if name in {"runs", "serves", ""} else "ellipsis")
    for member in members:
        beat = common.duration(member.silent_seconds)
        runs = ", ".join(f"{count} {kind}" for kind, count in sorted(member.running.items())) or "-"
        quiet = "" if member.quiet_ms is None else f"quiet, by {common.printable(member.quiet_by or '?')}"
        shown.add_row(
            member.name,
            member.role,
            member.version,
            member.config or "own file",
            common.moment(member.started_ms),
            Text(beat, "red" if member.silent_seconds > lease_seconds else ""),
            _position(member),
            runs,
            "all" if types <= set(member.commands) else "\n".join(member.commands),
            Text(quiet, "yellow"),
        )
    return shown
