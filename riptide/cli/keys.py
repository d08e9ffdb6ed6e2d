"""`riptide keys`: by which keys tenants' data is encrypted."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from riptide.cli import common
from riptide.cli.common import cli_actor
from riptide.errors import InvalidInput, UnknownTenant
from riptide.names import DEFAULT_TENANT
from riptide.reads.sync_client import RipTide
from riptide.tenants.keyring.data_keys import KeyStatus
from riptide.tenants.keyring.master import new_master_key

app = typer.Typer(
    help="Keys: each encrypted tenant has data keys of its own, wrapped by the master key of "
    "security.encryption_key.\n\n"
    "To change the master key: put the new one first, as in '2:NEW,1:OLD', restart everything, run "
    "'riptide keys rotate --all', and take the old one away.",
    no_args_is_help=True,
)
Tenant = Annotated[str | None, typer.Argument(metavar="[TENANT]", help="The tenant's id; else all tenants.")]
_PAGE = 1000


@app.command("generate")
def generate_command(
    version: Annotated[int, typer.Option(min=1, max=999_999_999, help="Which version of it.")] = 1,
) -> None:
    """Print a new master key for security.encryption_key. It is kept nowhere: who loses it loses the data.

    Other versions that are in use must stay in the setting, behind it, with commas between.
    """
    typer.echo(f"{version}:{new_master_key()}")


@app.command("status")
def status_command(tenant: Tenant = None, as_json: common.Json = False) -> None:
    """Show which tenants' data is encrypted, since when by their present key, and by which master keys."""
    with common.client() as (rt, _):
        versions = rt.ring.masters.versions if rt.ring.masters else []
        found = list(_each(rt, tenant, "Looking", rt.keys.status))
    if as_json:
        common.print_json({"master_versions": versions, "tenants": [asdict(one) for one in found]})
        return
    shown = f"version {', '.join(map(str, versions))}" if versions else "none"
    typer.echo(f"Master key here: {shown}" + (", the first wraps" if len(versions) > 1 else ""))
    common.show(_table(found))


@app.command("rotate")
def rotate_command(
    tenant: Annotated[
        str | None, typer.Argument(metavar="[TENANT]", help="The tenant's id; or --all.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every tenant that is or was encrypted.")] = False,
    as_json: common.Json = False,
) -> None:
    """Give tenants new data keys, and wrap the older ones by the newest master key. Nothing stops meanwhile.

    What was written before stays readable: it is encrypted by the older key until it is written again. A
    tenant that is not encrypted any more, or closed, gets no new key.

    Example: riptide keys rotate --all
    """
    if everybody == (tenant is not None):
        raise InvalidInput("name a tenant, or --all")
    with common.client() as (rt, _):

        def rotate(one: str) -> KeyStatus | None:
            if everybody and not rt.keys.status(one).keys:
                return None
            return rt.keys.rotate(one, actor=cli_actor())

        done = list(_each(rt, tenant, "Rotating", rotate))
    common.print_json([asdict(one) for one in done]) if as_json else common.show(_table(done))


def _each(rt: RipTide, tenant: str | None, doing: str, action: Any) -> Iterator[KeyStatus]:
    if tenant is not None:
        yield action(tenant)
        return
    with common.bar() as bar:
        task = bar.add_task(doing, total=None)
        for one in _tenants(rt):
            with suppress(UnknownTenant):  # deleted meanwhile
                if (found := action(one)) is not None:
                    yield found
            bar.update(task, advance=1, description=f"{doing}: {one}")


def _tenants(rt: RipTide) -> Iterator[str]:
    if not rt.settings.tenant.enabled:
        yield DEFAULT_TENANT
        return
    after: str | None = None
    while True:
        page = rt.tenants.list(after=after, limit=_PAGE)
        yield from (one.id for one in page.tenants if one.status != "pending")
        if (after := page.cursor) is None:
            return


def _table(found: list[KeyStatus]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("tenant", "encrypted", "key", "since", "keys", "master key"):
        table.add_column(column, justify="right" if column in {"key", "keys"} else "left")
    for one in found:
        masters = ", ".join(f"{version}: {count}" for version, count in sorted(one.masters.items()))
        since = common.moment(one.since_ms) if one.since_ms else "-"
        encrypted = "yes" if one.key else "no"
        table.add_row(one.tenant, encrypted, str(one.key or "-"), since, str(one.keys), masters or "-")
    return table
