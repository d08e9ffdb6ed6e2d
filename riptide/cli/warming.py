"""`riptide cache warm` and `riptide cache popular`: what is read most, and loading it before anybody asks."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic_core import to_json
from rich.markup import escape
from rich.table import Table

from commands import Warm
from commands._fields import MAX_ITEMS
from riptide.cache.popularity.reading import MOST_TOP, Popular
from riptide.cache.warming.access_log import Logged
from riptide.cache.warming.choosing import Place, choose
from riptide.cli import common
from riptide.cli.command import exit_by, facts, print_status, wait_shown
from riptide.errors import InvalidInput
from riptide.names import DEFAULT_NAMESPACE, DEFAULT_TENANT
from riptide.reads.sync_client import RipTide
from riptide.streams.message import Ref

Tenant = Annotated[str, typer.Option(help="Whose.")]
_SOURCES = ("list", "popular", "access_log", "all")


def popular_command(
    tenant: Tenant = DEFAULT_TENANT,
    namespace: Annotated[str | None, typer.Option(help="Only this one.", show_default="all")] = None,
    top: Annotated[int, typer.Option(min=1, max=MOST_TOP, help="So many at most.")] = 20,
    as_json: common.Json = False,
) -> None:
    """Show which of a tenant's keys are read most, and what warming them would spare readers.

    Reads are those of all processes, hits and misses; each counts half after a day. A process reports them
    every minute and when it ends. load_us is what loading a value takes, where that was measured; the benefit
    is both multiplied, in seconds.
    """
    with common.client() as (rt, _):
        rows = rt.cache.popular(tenant, namespace, top)
    if as_json:
        common.print_json([asdict(row) for row in rows])
    elif rows:
        common.show(_table(tenant, rows))
    else:
        typer.echo(f"no reads of {tenant} are reported yet")


def warm_command(
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help="Keys to load.")] = None,
    tenant: Tenant = DEFAULT_TENANT,
    namespace: Annotated[
        str | None, typer.Option(help="Where the entries belong.", show_default="default; of popular: all")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help=f"Instead of keys: {', '.join(_SOURCES)}."),
    ] = None,
    access_log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", exists=True, dir_okay=False, help="Instead: an access log, plain or gzip."
        ),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(help="What stands before the log's paths.", show_default="cache.warm_base_url"),
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=MOST_TOP, help="So many keys of a source or log.")] = 1000,
    loader: Annotated[
        str | None, typer.Option(help="A registered loader.", show_default="the namespace's")
    ] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Load again what is there already.")] = False,
    wait: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="Wait so long for the end, and tell it.")
    ] = None,
    as_json: common.Json = False,
) -> None:
    """Have workers load entries before anybody asks for them, the most useful first.

    Takes keys, a SOURCE (the tenant's list or the configured one; what is read most; the access logs that the
    configuration names; or all of these), or an access log of its own in Common or Combined Log Format, which
    is read here, line by line: GETs answered with 2xx or 304. It prints the reference of each command; with
    --wait how they ended, and the exit code is that of 'riptide command'.
    """
    if [bool(keys), source is not None, access_log is not None].count(True) != 1:
        raise InvalidInput("one of keys, --source and --access-log is needed, and not more")
    if source is not None and source not in _SOURCES:
        raise InvalidInput(f"--source is one of {', '.join(_SOURCES)}")
    given: dict[str, Any] = {"namespace": namespace, "loader": loader, "refresh": refresh}
    with common.client() as (rt, _):
        told: dict[str, Any] = {}
        if source is not None:
            bodies: list[dict[str, Any]] = [{"source": source, "top": top}]
        elif access_log is not None:
            places, told = _from_log(rt, access_log, base_url, tenant, namespace, top)
            bodies = list(_bodies(rt, [key for _, key in places]))
        else:
            bodies = list(_bodies(rt, keys or []))
        refs = [rt.publish(common.made(Warm, given | body), tenant=tenant) for body in bodies]
        _tell(rt, refs, told, wait, as_json=as_json)


def _from_log(
    rt: RipTide, path: Path, base_url: str | None, tenant: str, namespace: str | None, top: int
) -> tuple[list[Place], dict[str, Any]]:
    logged = Logged.enough_for(top)
    with common.bar() as bar:
        bar.add_task(f"Reading {escape(path.name)}", total=None)
        try:
            logged.add_file(path, base_url or rt.settings.cache.warm_base_url)
        except OSError as error:
            raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    where = namespace or DEFAULT_NAMESPACE
    times = rt.cache.popular(tenant, where, MOST_TOP)
    return choose(times, logged.reads, where, top, only_logged=True), logged.told()


def _bodies(rt: RipTide, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """As many keys in a command as it may hold."""
    room = rt.settings.streams.max_body_bytes - 1000
    chosen: list[str] = []
    size = 0
    for key in keys:
        needs = len(to_json(key.encode(errors="replace"))) + 1
        if chosen and (size + needs > room or len(chosen) == MAX_ITEMS):
            yield {"keys": chosen}
            chosen, size = [], 0
        chosen.append(key)
        size += needs
    if chosen:
        yield {"keys": chosen}


def _tell(
    rt: RipTide, refs: Sequence[Ref], told: dict[str, Any], wait: float | None, *, as_json: bool
) -> None:
    log = {"access_log": told} if told else {}
    if told and not as_json:
        counts = ", ".join(f"{value:,} {name}" for name, value in told.items() if name != "damaged")
        typer.echo(f"access log: {counts}" + ("; it breaks off" if told["damaged"] else ""))
    if told.get("unplaced"):
        typer.echo("paths that are unplaced need --base-url, or cache.warm_base_url", err=True)
    if told and not refs:
        typer.echo("nothing to warm", err=True)
    if wait is None:
        if as_json:
            common.print_json({"refs": [str(ref) for ref in refs], **log})
        else:
            for ref in refs:
                typer.echo(ref)
        return
    ended = [wait_shown(rt, ref, wait, quiet=as_json) for ref in refs]
    if as_json:
        common.print_json({"commands": [facts(status) for status in ended], **log})
    else:
        for status in ended:
            print_status(status, as_json=False)
    for status in ended:
        exit_by(status, waited=True)


def _table(tenant: str, rows: Sequence[Popular]) -> Table:
    table = Table(title=f"What is read most of {tenant}", title_justify="left", box=None, pad_edge=False)
    table.add_column("namespace", no_wrap=True)
    table.add_column("key", overflow="fold")
    for name in ("reads", "load_us", "benefit s"):
        table.add_column(name, justify="right")
    for row in rows:
        took = "-" if row.load_us is None else f"{row.load_us:,}"
        benefit = "-" if row.load_us is None else f"{row.benefit:,.3f}"
        table.add_row(row.namespace, common.printable(row.key), f"{row.reads:,.1f}", took, benefit)
    return table
