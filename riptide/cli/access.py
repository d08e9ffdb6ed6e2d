"""`riptide access`: the API keys of the HTTP API and the middleware."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from riptide.api.access.access import SyncAccess
from riptide.api.access.caller import PERMISSIONS, ROLES
from riptide.api.access.key import ApiKey, NewSecret
from riptide.api.access.text import new_id, new_text
from riptide.cli import common, times
from riptide.cli.common import cli_actor
from riptide.errors import InvalidInput

app = typer.Typer(
    help="API keys: who may call the HTTP API, and which tenant a service speaks for.\n\n"
    "A key is shown once, when it is made or rotated; only a digest of it is kept. Roles: viewer reads, "
    "operator also "
    "runs things, admin also decides, tenant is one tenant and no more. (The keys that encrypt data are "
    "those of "
    "'riptide keys'.)",
    no_args_is_help=True,
)
Id = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as 'list' shows it.")]
_ONCE = "shown this once; keep it"


@app.command("create")
def create_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what will use it.")],
    role: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE",
            help=f"One of {', '.join(ROLES)}.",
            show_default="tenant with --tenant, else viewer",
        ),
    ] = None,
    tenant: Annotated[str | None, typer.Option(metavar="ID", help="Whose, for role tenant.")] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PERMISSION",
            help=f"Only this of what the role may do; may be repeated. One of {', '.join(PERMISSIONS)}.",
        ),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="After this time, as in 90d.", show_default="never")
    ] = None,
    as_json: common.Json = False,
) -> None:
    """Make a key and print it. Nobody can ask for it again."""
    with common.client() as (rt, _):
        made = SyncAccess(rt).create(
            name,
            role=role or ("viewer" if tenant is None else "tenant"),
            tenant=tenant,
            scopes=scope or None,
            expires_seconds=None if expires is None else _seconds("--expires", expires),
            actor=cli_actor(),
        )
    _print_new(made, as_json=as_json)


@app.command("list")
def list_command(
    tenant: Annotated[
        str | None, typer.Argument(metavar="[TENANT]", help="Whose; else the keys of operators.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 100,
    after: Annotated[str | None, typer.Option(metavar="ID", help="Go on after this one.")] = None,
    as_json: common.Json = False,
) -> None:
    """List the keys of a tenant, or those of operators. What is over stays in the list for 90 days."""
    with common.client() as (rt, _):
        page = SyncAccess(rt).list(tenant, after=after, limit=limit)
    if as_json:
        common.print_json({"keys": [asdict(key) for key in page.keys], "cursor": page.cursor})
        return
    common.show(_table(page.keys))
    if page.cursor is not None:
        typer.echo(f"there are more: --after {page.cursor}")


@app.command("show")
def show_command(key: Id, as_json: common.Json = False) -> None:
    """Show a key: role, scopes, when it was made, used, rotated, and when it ends. Never its secret."""
    with common.client() as (rt, _):
        found = SyncAccess(rt).show(key)
    common.print_json(asdict(found)) if as_json else _print_key(found)


@app.command("rotate")
def rotate_command(
    key: Id,
    overlap: Annotated[
        str, typer.Option(metavar="TIME", help="For so long the present secret stays valid; 0s: not at all.")
    ] = "1d",
    as_json: common.Json = False,
) -> None:
    """Give a key another secret and print it. A lifetime begins anew."""
    with common.client() as (rt, _):
        made = SyncAccess(rt).rotate(key, overlap_seconds=_seconds("--overlap", overlap), actor=cli_actor())
    _print_new(made, as_json=as_json)


@app.command("revoke")
def revoke_command(
    key: Id,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: common.Json = False,
) -> None:
    """Refuse a key from the next call on, for good."""
    with common.client() as (rt, _):
        access = SyncAccess(rt)
        found = access.show(key)
        if not yes:
            typer.confirm(f"Revoke the key {key} ({common.printable(found.name)}) for good?", abort=True)
        access.revoke(key, actor=cli_actor())
        revoked = access.show(key)
    common.print_json(asdict(revoked)) if as_json else typer.echo(f"{key} is revoked")


@app.command("first")
def first_command(as_json: common.Json = False) -> None:
    """Make the deployment's first admin key and print it, unless there was one ever.

    The API does the same when it first starts. With api.admin_key that key is taken, and nothing printed.
    """
    with common.client() as (rt, _):
        found = SyncAccess(rt).first(actor=cli_actor())
    if found.made is not None:
        _print_new(found.made, as_json=as_json)
    elif as_json:
        common.print_json({"id": found.id, "secret": None})
    else:
        typer.echo(
            f"the first key is {found.id}; 'riptide access create NAME --role admin' makes another", err=True
        )


@app.command("generate")
def generate_command() -> None:
    """Print a new key for api.admin_key. It is valid once the API, or 'first', has started with it."""
    typer.echo(new_text(new_id(None)))


def _print_new(made: NewSecret, *, as_json: bool) -> None:
    """Standard output has the secret alone, for scripts."""
    if as_json:
        common.print_json({"key": asdict(made.key), "secret": made.text})
        return
    typer.echo(f"key {made.key.id}, role {made.key.role}; {_ONCE}:", err=True)
    typer.echo(made.text)


def _table(keys: list[ApiKey]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("id", "name", "role", "scopes", "state", "made", "last used", "ends"):
        table.add_column(column, overflow="fold" if column in {"name", "scopes"} else "ellipsis")
    for key in keys:
        scopes = "all" if key.scopes is None else " ".join(key.scopes)
        cells = (key.role, scopes, key.state, _moment(key.made_ms), _moment(key.used_ms), _ends(key))
        table.add_row(key.id, Text(common.printable(key.name)), *cells)
    return table


def _print_key(key: ApiKey) -> None:
    shown = Table(box=None, pad_edge=False, show_header=False)
    facts: dict[str, Any] = {
        "id": key.id,
        "name": common.printable(key.name),
        "role": key.role,
        "tenant": key.tenant or "-",
        "scopes": "all of the role" if key.scopes is None else " ".join(key.scopes),
        "state": key.state,
        "made": f"{_moment(key.made_ms)} by {common.printable(key.made_by)}",
        "last used": _moment(key.used_ms),
        "rotated": _moment(key.rotated_ms),
        "old secret until": _moment(key.old_until_ms),
        "ends": _ends(key),
    }
    for name, value in facts.items():
        shown.add_row(name, Text(str(value)))
    common.show(shown)


def _ends(key: ApiKey) -> str:
    return _moment(key.revoked_ms or key.expires_ms)


def _moment(milliseconds: int) -> str:
    return common.moment(milliseconds) if milliseconds else "-"


def _seconds(option: str, text: str) -> int:
    seconds = times.span(option, text)
    if seconds != int(seconds):
        raise InvalidInput(f"{option}: {text[:80]!r} is no whole number of seconds")
    return int(seconds)
