"""`riptide archive`: how far the archive has come, what it holds, and whether that is intact."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.progress import track
from rich.table import Table

from riptide.cli import common
from riptide.errors import Damaged, RiptideError
from riptide.state.archive import names, reading
from riptide.state.archive.operations import PartitionArchive, StreamArchive
from riptide.state.blobs import open_blobs
from riptide.store.keys import PARTITIONS

app = typer.Typer(
    help="The archive: copies of chosen types' streams in the blob store (streams.archive, blobs.url).\n\n"
    "Workers write it; what lies before its position survives the loss of the server.",
    no_args_is_help=True,
)

Kind = Annotated[str | None, typer.Option("--type", help="Only this type of command.")]


@app.command("status")
def status_command(as_json: common.Json = False) -> None:
    """Show how far each type is archived: what waits, since when, and when the last segment was written."""
    with common.client() as (rt, keys):
        kinds = list(rt.settings.streams.archive_types)
        found = rt.store.run_all([PartitionArchive(keys, kinds, p).status() for p in PARTITIONS])
        streams = [stream for partition in found for stream in partition]
        facts = [_type_facts(kind, [s for s in streams if s.kind == kind]) for kind in kinds]
        if as_json:
            place = open_blobs(rt.settings.blobs).place
            common.print_json({"place": place, "archive": rt.settings.streams.archive, "types": facts})
            return
        if not rt.settings.streams.archive:
            typer.echo("streams.archive is off: nothing is archived")
        common.console.print(_status_table(facts, open_blobs(rt.settings.blobs).place))


def _type_facts(kind: str, streams: list[StreamArchive]) -> dict[str, Any]:
    lags = [stream.lag for stream in streams]
    ages = [stream.oldest_seconds for stream in streams if stream.oldest_seconds is not None]
    moved = max((stream.moved for stream in streams), default=0)
    return {
        "type": kind,
        "archived": sum(stream.archived for stream in streams),
        "lag": None if None in lags else sum(lag or 0 for lag in lags),
        "oldest_seconds": max(ages, default=None),
        "last_segment": datetime.fromtimestamp(moved, UTC).isoformat() if moved else None,
        "workers": sorted({stream.owner for stream in streams if stream.owner}),
        "positions": {stream.partition: stream.position for stream in streams if stream.position},
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
    kinds = [kind] if kind else names.types(blobs, prefix)
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
    common.console.print(table)


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
    """
    settings = common.settings()
    blobs, prefix = open_blobs(settings.blobs), settings.cache.key_prefix
    kinds = [kind] if kind else names.types(blobs, prefix)
    found = [segment for each in kinds for segment in names.segments(blobs, prefix, each)]
    continuity = reading.Continuity()
    entries, problems = 0, []
    for segment in track(found, "Verifying", transient=True, disable=as_json):
        try:
            with reading.opened(blobs, prefix, segment) as reader:
                entries += reader.header.count
                if gap := continuity.gap(reader):
                    problems.append(gap)
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
