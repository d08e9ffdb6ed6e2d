"""`riptide cache`: what is done with the cache, and whether the accounts of it are right."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from riptide.cache.access.statistics import Statistics
from riptide.cache.accounts import audit
from riptide.cache.accounts.audit import Difference
from riptide.cache.spill.audit import blob_differences
from riptide.cli import common
from riptide.cli.cache_show import show_command
from riptide.cli.warming import popular_command, warm_command
from riptide.errors import RiptideError
from riptide.names import DEFAULT_TENANT
from riptide.reads.sync_client import RipTide
from riptide.store.keys import Keys
from riptide.store.scan import Scan
from riptide.tenants.accounts.account import Account
from riptide.tenants.accounts.everybody import everybody
from riptide.tenants.facts import Facts, KnownTenants

app = typer.Typer(
    help="The cache: what is done with it, warming it, and whether the accounts of it are right.",
    no_args_is_help=True,
)
app.command("show")(show_command)
app.command("popular")(popular_command)
app.command("warm")(warm_command)


@app.command("stats")
def stats_command(
    tenant: Annotated[str, typer.Option(help="Whose.")] = DEFAULT_TENANT,
    as_json: common.Json = False,
) -> None:
    """Show what a tenant's entries take, and what all processes that read and write them have reported.

    Rates and times are those of the last five minutes and of the one that goes on; beside them those since
    the tenant exists. A process reports every five seconds and when it ends, and workers sum it up
    (record_access), so what is newer is missing. avg_access_time_us is the time of reading calls, round trip
    included, where they were made: one in 64 is timed. evictions tell why entries went.
    """
    with common.client() as (rt, _):
        found = rt.cache.statistics(tenant)
    if as_json:
        common.print_json(asdict(found))
    else:
        common.show(_figures(found))


@app.command("audit")
def audit_command(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.", show_default="all")] = None,
    as_json: common.Json = False,
) -> None:
    """Recount the entries from their keys, and compare entries and bytes with the accounts, second by second,
    and what is spilled with the list of its blobs.

    The exit code is 1 if they differ; each difference is named. Work may go on meanwhile. It goes through all
    keys of the server in small steps, and counts as a use of every entry, where eviction goes by use.
    """
    with (
        common.client() as (rt, keys),
        Scan(rt.settings) as scan,
        Progress(
            console=common.console, transient=True, disable=as_json or not common.console.is_terminal
        ) as bar,
    ):
        several = _facts(rt, keys, tenant)
        tags = {tag for facts in several for tag in facts.tags}
        found = _strays(rt, keys, scan, None if tenant is None else tags, bar)
        entries = 0
        for tag in bar.track(sorted(tags), description="Accounts"):
            account = Account(keys, tag)
            found += rt.store.drive(audit.differences(account))
            entries += rt.store.run(account.held()).entries
        for facts in bar.track(several, description="Blobs"):
            found += rt.store.drive(blob_differences(keys, facts))
    if as_json:
        common.print_json(
            {"accounts": len(tags), "entries": entries, "differences": list(map(asdict, found))}
        )
    else:
        typer.echo(f"{len(tags):,} accounts with {entries:,} entries; {len(found):,} differences")
        if found:
            common.show(_table(found))
    if found:
        raise RiptideError(f"{len(found)} differences between accounts and keys")


def _facts(rt: RipTide, keys: Keys, tenant: str | None) -> list[Facts]:
    if tenant is not None:
        return [rt.store.drive(KnownTenants(keys, rt.settings.tenant).learn(tenant))]
    return rt.store.drive(everybody(keys, rt.settings.tenant))


def _strays(rt: RipTide, keys: Keys, scan: Scan, tags: set[str] | None, bar: Progress) -> list[Difference]:
    """Entries that no account lists: of these slots, or of all that are met."""
    found: list[Difference] = []
    task = bar.add_task("Keys", total=scan.size())
    for looked_at, names in scan.pages(f"{keys.prefix}:tenant:{{*"):
        bar.advance(task, looked_at)
        for tag, members in audit.members_of(keys.prefix, names).items():
            if tags is None or tag in tags:
                found += rt.store.drive(audit.strays(Account(keys, tag), members))
    return found


def _figures(found: Statistics) -> Table:
    table = Table(title=Text(f"Cache of {found.tenant}"), title_justify="left", box=None, pad_edge=False)
    table.add_column("figure", no_wrap=True)
    table.add_column(f"last {found.window_seconds} s", justify="right")
    table.add_column("in all", justify="right")
    totals = found.totals
    reads = totals.hits + totals.misses
    table.add_row("total_keys", "", f"{found.total_keys:,}")
    table.add_row("memory_usage_bytes", "", f"{found.memory_usage_bytes:,}")
    table.add_row("hit_rate", _percent(found.hit_rate), _percent(totals.hits / reads if reads else None))
    table.add_row("miss_rate", _percent(found.miss_rate), _percent(totals.misses / reads if reads else None))
    in_all = totals.timed_us / totals.timed if totals.timed else None
    table.add_row("avg_access_time_us", _number(found.avg_access_time_us), _number(in_all))
    table.add_row("ops_per_second", _number(found.ops_per_second), "")
    table.add_row("avg_compression_ratio", "", _number(found.avg_compression_ratio))
    for reason, count in found.evictions.items():
        table.add_row(f"evictions: {reason}", "", f"{count:,}")
    for name in ("hits", "misses", "sets", "deletes"):
        table.add_row(name, "", f"{getattr(totals, name):,}")
    reported = "1 process has" if found.processes == 1 else f"{found.processes:,} processes have"
    table.caption = f"{reported} reported in the last {found.window_seconds} s"
    table.caption_justify = "left"
    return table


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def _table(found: list[Difference]) -> Table:
    table = Table(title="Differences", title_justify="left", box=None, pad_edge=False)
    table.add_column("slot", no_wrap=True)
    table.add_column("what")
    for name in ("account", "keys"):
        table.add_column(name, justify="right")
    for row in found:
        table.add_row(row.tag, row.what, f"{row.account:,}", f"{row.keys:,}")
    return table
