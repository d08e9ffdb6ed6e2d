"""`riptide archive`: how far the archive has come, what it holds, and whether that is intact."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from riptide.cli import common
from riptide.config import Settings
from riptide.errors import BlobNotFound, Damaged, InvalidInput, RiptideError
from riptide.state.archive import names, reading
from riptide.state.archive.status import TypeArchive, type_archives
from riptide.state.blobs import Blobs, open_blobs
from riptide.streams.registry import load_models

app = typer.Typer(
    help="The archive: copies of chosen types' streams in the blob store (streams.archive, blobs.url).\n\n"
    "Workers write it; what lies before its position survives the loss of the server.",
    no_args_is_help=True,
)

Kind = Annotated[
    str | None, typer.Option("--type", help="Only this type of command.", autocompletion=common.complete_type)
]


@app.command("status")
def status_command(as_json: common.Json = False) -> None:
    """Show how far each type is archived: what waits, since when, and when the last segment was written."""
    with common.client() as (rt, keys):
        found = rt.store.drive(type_archives(keys, rt.settings.streams.archive_types))
        facts = [_type_facts(archive) for archive in found]
        if as_json:
            place = open_blobs(rt.settings.blobs).place
            common.print_json({"place": place, "archive": rt.settings.streams.archive, "types": facts})
            return
        if not rt.settings.streams.archive:
            typer.echo("streams.archive is off: nothing is archived")
        common.show(_status_table(facts, open_blobs(rt.settings.blobs).place))


def _type_facts(archive: TypeArchive) -> dict[str, Any]:
    written = datetime.fromtimestamp(archive.moved, UTC).isoformat() if archive.moved else None
    return {
        "type": archive.kind,
        "archived": archive.archived,
        "lag": archive.lag,
        "oldest_seconds": archive.oldest_seconds,
        "last_segment": written,
        "workers": archive.workers,
        "positions": archive.positions,
    }


def _status_table(facts: list[dict[str, Any]], place: str) -> Table:
    table = Table(title=f"Archive in {place}", title_justify="left", box=None, pad_edge=False)
    table.add_column("type", no_wrap=True)
    for name in ("archived", "lag", "oldest", "last segment", "workers"):
        table.add_column(name, justify="right")
    for fact in facts:
        table.add_row(
            fact["type"],
            f"{fact['archived']:,}",
            "?" if fact["lag"] is None else f"{fact['lag']:,}",
            common.duration(fact["oldest_seconds"]),
            (fact["last_segment"] or "-")[:19].replace("T", " "),
            str(len(fact["workers"])),
        )
    return table


@app.command("list")
def list_command(kind: Kind = None, as_json: common.Json = False) -> None:
    """List what the archive holds: a row per type, or every segment with --json."""
    settings = common.settings()
    blobs, prefix = open_blobs(settings.blobs), settings.cache.key_prefix
    kinds = _kinds(settings, blobs, kind)
    found = [segment for each in kinds for segment in names.segments(blobs, prefix, each)]
    if as_json:
        common.print_json([_segment_facts(segment) for segment in found])
        return
    if not found:
        typer.echo(f"no segments in {blobs.place}")
        return
    by_type: dict[str, list[names.Segment]] = defaultdict(list)
    for segment in found:
        by_type[segment.type].append(segment)
    table = Table(title=f"Archive in {blobs.place}", title_justify="left", box=None, pad_edge=False)
    for name in ("type", "segments", "bytes", "first", "last"):
        table.add_column(name, justify="left" if name == "type" else "right")
    for name, own in by_type.items():
        first = min(names.order(segment.first)[0] for segment in own)
        last = max(names.order(segment.last)[0] for segment in own)
        size = sum(segment.size for segment in own)
        table.add_row(name, f"{len(own):,}", f"{size:,}", common.moment(first), common.moment(last))
    common.show(table)


def _kinds(settings: Settings, blobs: Blobs, kind: str | None) -> list[str]:
    """The one that was asked for, else all that the archive holds."""
    prefix = settings.cache.key_prefix
    if kind is None:
        return names.types(blobs, prefix)
    models = load_models(settings.workers.modules)
    if kind in models:
        return [kind]
    held = names.types(blobs, prefix)
    if kind not in held:
        known = ", ".join(sorted({*held, *models}))
        raise InvalidInput(f"no command is of type {kind!r}; known are {known}")
    return [kind]


def _segment_facts(segment: names.Segment) -> dict[str, Any]:
    return {
        "name": segment.name,
        "type": segment.type,
        "partition": segment.partition,
        "first": segment.first,
        "last": segment.last,
        "bytes": segment.size,
    }


@app.command("verify")
def verify_command(kind: Kind = None, as_json: common.Json = False) -> None:
    """Read every segment and check it: checksums, counts, and that none is missing between two.

    The exit code is 1 if anything is wrong; each damaged segment is named.

    Example: riptide archive verify --type record_usage
    """
    settings = common.settings()
    blobs, prefix = open_blobs(settings.blobs), settings.cache.key_prefix
    kinds = _kinds(settings, blobs, kind)
    found = [segment for each in kinds for segment in names.segments(blobs, prefix, each)]
    continuity = reading.Continuity()
    entries, problems = 0, []
    for segment in common.tracked(found, "Verifying", quiet=as_json):
        try:
            with reading.opened(blobs, prefix, segment) as reader:
                entries += reader.header.count
                if gap := continuity.gap(reader):
                    problems.append(gap)
        except BlobNotFound:
            continue  # streams.archive_retention_days has passed meanwhile
        except Damaged as error:
            problems.append(str(error))
    if as_json:
        common.print_json({"segments": len(found), "entries": entries, "problems": problems})
    else:
        typer.echo(f"{len(found):,} segments with {entries:,} entries in {blobs.place}")
        for problem in problems:
            typer.echo(problem)
    if problems:
        raise RiptideError(f"{len(problems)} problems in the archive")
