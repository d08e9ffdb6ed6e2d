"""`riptide replay`: commands that were published before, published again."""

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.progress import Progress as Bar
from rich.table import Table

from riptide.cli import common
from riptide.config import RedisUrl, Settings
from riptide.config.redis_url import check_url
from riptide.errors import InvalidInput, ServerUnavailable
from riptide.state.archive import names
from riptide.state.blobs import open_blobs
from riptide.state.replay.cursor import Cursor
from riptide.state.replay.replaying import SENT, WOULD_SEND, Replay, Tally
from riptide.state.replay.selection import select
from riptide.state.replay.sources import Archive, Source, Streams
from riptide.state.replay.target import Target, same_server
from riptide.store.keys import Keys
from riptide.store.sync import Store, open_store
from riptide.streams.registry import load_models

_CURSOR = Path(".riptide-replay.json")
Origin = Literal["stream", "archive"]


def replay_command(
    origin: Annotated[
        Origin, typer.Option("--from", help="The streams of the server, or the archive.")
    ] = "stream",
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="From then on: 2026-11-20T12:00 (UTC), or 2h ago.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Up to then.")] = None,
    ids: Annotated[
        str | None, typer.Option(metavar="A..B", help="Entry ids, both included; either may be left out.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--type", help="Only this type; may be repeated.", autocompletion=common.complete_type),
    ] = None,
    tenant: Annotated[list[str] | None, typer.Option(help="Only this tenant; may be repeated.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that there is.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be sent.")] = False,
    rate: Annotated[
        float | None, typer.Option(min=0.01, metavar="N", help="Commands a second at most.")
    ] = None,
    into: Annotated[
        str | None, typer.Option(metavar="URL", help="Send to this server instead of redis.url.")
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Send also what is counted already or still to be carried out. Asks."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the one that was interrupted.")
    ] = False,
    cursor: Annotated[
        Path, typer.Option(metavar="FILE", dir_okay=False, help="Where its progress is kept.")
    ] = _CURSOR,
    as_json: common.Json = False,
) -> None:
    """Publish commands again that were published before, from their streams or from the archive.

    A command is sent once, however often it was retried, and however often it is replayed within
    streams.idempotency_window_seconds. Into the server that it came from, it is left out while it is still
    to be carried out, while it is a dead letter, and, of type record_usage, when it has been counted.

    Example: riptide replay --from archive --type record_usage --since 2h --dry-run
    """
    settings = common.settings()
    asked = Asked(origin, into, again, yes, dry_run, cursor)
    if resume:
        saved = asked.resumed()
    else:
        if not (everything or since or until or ids or kind or tenant):
            raise InvalidInput("say which: --since, --until, --ids, --type, --tenant, or --all")
        selection = select(
            since=since, until=until, ids=ids, types=tuple(kind or ()), tenants=tuple(tenant or ())
        )
        saved = asked.begun(Cursor(origin, selection, _masked(into), again))
    with _opened(settings, saved, into) as (source, target, home):
        work = Replay(
            source,
            saved.selection,
            target,
            saved.progress,
            judging=home and not saved.again,
            dry=dry_run,
            rate=rate,
        )
        save = (lambda: None) if dry_run else (lambda: saved.save(cursor))
        _carry_out(work, source, save, show=not as_json)
    if not dry_run:
        cursor.unlink(missing_ok=True)
    _report(saved.progress.tally, dry=dry_run, as_json=as_json)


class Asked:
    """What the command line says, checked against what is saved."""

    def __init__(
        self, origin: Origin, into: str | None, again: bool, yes: bool, dry: bool, cursor: Path
    ) -> None:
        self._origin, self._into, self._again = origin, into, again
        self._yes, self._dry, self._cursor = yes, dry, cursor

    def resumed(self) -> Cursor:
        saved = Cursor.load(self._cursor)
        if saved.into != _masked(self._into):
            where = f"--into {saved.into}" if saved.into else "no --into"
            raise InvalidInput(f"the replay saved in {self._cursor} has {where}: say so again")
        return saved

    def begun(self, fresh: Cursor) -> Cursor:
        if not self._dry and not os.access(self._cursor.absolute().parent, os.W_OK):
            raise InvalidInput(f"--cursor: nothing can be written to the directory of {self._cursor}")
        if not self._dry and self._cursor.exists():
            raise InvalidInput(
                f"a replay that was interrupted is saved in {self._cursor}: "
                "go on with --resume, or delete the file"
            )
        if self._again and not self._dry and not self._yes:
            typer.confirm(
                "Send also what is counted already? Usage is then counted and billed again", abort=True
            )
        return fresh


@contextmanager
def _opened(settings: Settings, saved: Cursor, into: str | None) -> Iterator[tuple[Source, Target, bool]]:
    """Source, target, and whether the commands came from that very server."""
    keys = Keys(settings.cache.key_prefix)
    run = saved.run if saved.again else None
    with ExitStack() as stack:
        aimed = open_store(_aimed(settings, into) if into else settings)
        stack.callback(aimed.close)
        target = Target(aimed, keys, settings.streams, run)
        if saved.origin == "archive":
            home = into is None or _is_home(settings, aimed, keys)
            yield _archive(settings, saved), target, home
            return
        own = aimed
        if into:
            own = open_store(settings)
            stack.callback(own.close)
        yield _streams(settings, saved, own, keys), target, own is aimed or same_server(own, aimed, keys)


def _is_home(settings: Settings, aimed: Store, keys: Keys) -> bool:
    """The archive may be all that is left of the server that it came from."""
    try:
        own = open_store(settings)
    except ServerUnavailable:
        return False
    try:
        return same_server(own, aimed, keys)
    except ServerUnavailable:
        return False  # if it was the one that is aimed at, that shows soon
    finally:
        own.close()


def _archive(settings: Settings, saved: Cursor) -> Source:
    blobs, prefix = open_blobs(settings.blobs), settings.cache.key_prefix
    models = load_models(settings.workers.modules)
    if not models.keys() >= set(saved.selection.types):  # one that is carried out no more may be archived
        _check_types(saved, {*models, *names.types(blobs, prefix)})
    return Archive(blobs, prefix, saved.selection.types)


def _streams(settings: Settings, saved: Cursor, own: Store, keys: Keys) -> Source:
    kinds = sorted(load_models(settings.workers.modules))
    _check_types(saved, kinds)
    return Streams(own, keys, kinds)


def _check_types(saved: Cursor, known: Collection[str]) -> None:
    for kind in saved.selection.types:
        if kind not in known:
            raise InvalidInput(f"no command is of type {kind!r}; known are {', '.join(sorted(known))}")


def _aimed(settings: Settings, url: str) -> Settings:
    """The same settings for another server, whose login stands in its URL."""
    try:
        check_url(url)
    except ValueError as error:
        raise InvalidInput(f"--into: {error}") from None
    login = {"url": RedisUrl(url), "username": None, "password": None, "cluster_mode": False}
    return settings.model_copy(update={"redis": settings.redis.model_copy(update=login)})


def _masked(url: str | None) -> str | None:
    return None if url is None else str(RedisUrl(url))


def _carry_out(work: Replay, source: Source, save: Any, *, show: bool) -> None:
    streams = [s for s in work.streams() if f"{s[0]}.{s[1]}" not in work.progress.finished]
    hidden = not (show and common.progress.is_terminal)
    with Bar(console=common.progress, transient=True, disable=hidden) as bar:
        task = bar.add_task("Replaying", total=sum(source.size(*stream) for stream in streams))
        work.run(save, lambda weight: bar.advance(task, weight))


def _report(tally: Tally, *, dry: bool, as_json: bool) -> None:
    rows: list[dict[str, Any]] = [
        {"type": kind, "tenant": tenant or None, "outcome": outcome, "commands": count}
        for (kind, tenant, outcome), count in sorted(tally.items())
    ]
    key = WOULD_SEND if dry else SENT
    total = sum(count for (_, _, outcome), count in tally.items() if outcome == key)
    if as_json:
        common.print_json({"dry_run": dry, "sent": 0 if dry else total, "commands": rows})
        return
    if rows:
        table = Table(title="Replay", title_justify="left", box=None, pad_edge=False)
        for name in ("type", "tenant", "outcome", "commands"):
            table.add_column(name, justify="right" if name == "commands" else "left")
        for row in rows:
            table.add_row(row["type"], row["tenant"] or "-", row["outcome"], f"{row['commands']:,}")
        common.show(table)
    typer.echo(f"{total:,} commands {'would be sent' if dry else 'sent'}")
