"""`riptide cache`: what is cached, and whether the accounts of it are right."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from riptide.cache.accounts import audit
from riptide.cache.accounts.audit import Difference
from riptide.cli import common
from riptide.errors import RiptideError
from riptide.reads.sync_client import RipTide
from riptide.store.keys import Keys
from riptide.store.scan import Scan
from riptide.tenants.accounts.account import Account
from riptide.tenants.accounts.everybody import everybody
from riptide.tenants.facts import KnownTenants

app = typer.Typer(
    help="The cache: whether the accounts of what tenants hold are right.",
    no_args_is_help=True,
)


@app.callback()
def cache() -> None:
    """Keeps `audit` a command of its own."""


@app.command("audit")
def audit_command(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant. [default: all]")] = None,
    as_json: common.Json = False,
) -> None:
    """Recount the entries from their keys, and compare entries and bytes with the accounts, second by second.

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
        tags = _tags(rt, keys, tenant)
        found = _strays(rt, keys, scan, None if tenant is None else tags, bar)
        entries = 0
        for tag in bar.track(sorted(tags), description="Accounts"):
            account = Account(keys, tag)
            found += rt.store.drive(audit.differences(account))
            entries += rt.store.run(account.held()).entries
    if as_json:
        common.print_json(
            {"accounts": len(tags), "entries": entries, "differences": list(map(asdict, found))}
        )
    else:
        typer.echo(f"{len(tags):,} accounts with {entries:,} entries; {len(found):,} differences")
        if found:
            common.console.print(_table(found))
    if found:
        raise RiptideError(f"{len(found)} differences between accounts and keys")


def _tags(rt: RipTide, keys: Keys, tenant: str | None) -> set[str]:
    """The hash tags that may hold entries."""
    if tenant is not None:
        return set(rt.store.drive(KnownTenants(keys, rt.settings.tenant).learn(tenant)).tags)
    return {tag for facts in rt.store.drive(everybody(keys, rt.settings.tenant)) for tag in facts.tags}


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


def _table(found: list[Difference]) -> Table:
    table = Table(title="Differences", title_justify="left", box=None, pad_edge=False)
    table.add_column("slot", no_wrap=True)
    table.add_column("what")
    for name in ("account", "keys"):
        table.add_column(name, justify="right")
    for row in found:
        table.add_row(row.tag, row.what, f"{row.account:,}", f"{row.keys:,}")
    return table
