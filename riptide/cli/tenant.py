"""`riptide tenant`: who shares this deployment, and what each may do."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from riptide.cli import common, policies
from riptide.cli.common import cli_actor
from riptide.cli.tenant_shown import print_tenant, tenant_facts, tenants_table
from riptide.errors import InvalidInput
from riptide.reads.exporting import Row
from riptide.tenants.keyring.data_keys import SETTING
from riptide.tenants.registry.record import SHARDS
from riptide.tenants.registry.tenant import Tenant
from riptide.tenants.resources import RESOURCES, UNLIMITED

app = typer.Typer(
    help="Tenants: create, list, show, update, suspend, resume, disable, export, delete, policies.\n\n"
    "What is changed holds with the next call that asks the server. 'riptide audit' tells who changed what.",
    no_args_is_help=True,
)
app.add_typer(policies.app, name="policies")

Id = Annotated[str, typer.Argument(metavar="ID", help="The tenant's id.")]
Plan = Annotated[str | None, typer.Option(metavar="PLAN", help="Its plan, one of tenant.plans_file.")]
Name = Annotated[str | None, typer.Option(metavar="TEXT", help="Its name, for people.")]
OwnerId = Annotated[str | None, typer.Option(metavar="TEXT", help="The owner's id elsewhere.")]
OwnerName = Annotated[str | None, typer.Option(metavar="TEXT", help="The owner's name.")]
OwnerEmail = Annotated[str | None, typer.Option(metavar="ADDRESS", help="The owner's e-mail address.")]
Organization = Annotated[str | None, typer.Option(metavar="TEXT", help="The owner's organization.")]
Quota = Annotated[
    list[str] | None,
    typer.Option(
        metavar="RESOURCE=LIMIT",
        help="Its own limit, over that of its plan; a number, like 200MiB, 'unlimited', or 'plan' to take "
        f"it back. Resources: {', '.join(RESOURCES)}. May be repeated.",
    ),
]
Setting = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="One of its settings: JSON, or a text; empty takes it back. May be repeated.",
    ),
]
Encrypted = Annotated[
    bool | None,
    typer.Option(
        "--encrypted/--not-encrypted",
        help="Encrypt what is written from now on; the same as the setting encryption_enabled.",
        show_default=False,
    ),
]
Why = Annotated[str, typer.Option(metavar="TEXT", help="Why, for others to read.")]


@app.command("create")
def create_command(
    tenant: Annotated[str | None, typer.Argument(metavar="[ID]", help="Its id; else it gets one.")] = None,
    plan: Annotated[str, typer.Option(metavar="PLAN", help="Its plan, one of tenant.plans_file.")] = "free",
    name: Name = None,
    owner_id: OwnerId = None,
    owner_name: OwnerName = None,
    owner_email: OwnerEmail = None,
    organization: Organization = None,
    quota: Quota = None,
    setting: Setting = None,
    encrypted: Encrypted = None,
    shards: Annotated[
        int,
        typer.Option(
            metavar="N",
            help=f"Over how many slots of a cluster its data is spread, for ever: one of "
            f"{', '.join(map(str, SHARDS))}. More than one only if it must outgrow a node.",
        ),
    ] = 1,
    as_json: common.Json = False,
) -> None:
    """Create a tenant, ready to be used, and print its id.

    Example: riptide tenant create acme --plan basic --name 'Acme Ltd' --owner-email ada@example.org
    --quota memory_bytes=200MiB
    """
    with common.client() as (rt, _):
        made = rt.tenants.create(
            tenant,
            plan=plan,
            name=name,
            owner=_owner(owner_id, owner_name, owner_email, organization),
            quotas=_quotas(quota),
            settings=_settings(setting, encrypted),
            shards=shards,
            actor=cli_actor(),
        )
        common.print_json(tenant_facts(made)) if as_json else typer.echo(made.id)


@app.command("list")
def list_command(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 100,
    after: Annotated[str | None, typer.Option(metavar="ID", help="Go on after this one.")] = None,
    as_json: common.Json = False,
) -> None:
    """List the tenants, in order of their ids."""
    with common.client() as (rt, _):
        page = rt.tenants.list(after=after, limit=limit)
        if as_json:
            common.print_json({"tenants": [tenant_facts(one) for one in page.tenants], "cursor": page.cursor})
            return
        common.show(tenants_table(page.tenants))
        if page.cursor is not None:
            typer.echo(f"there are more: --after {page.cursor}")


@app.command("show")
def show_command(tenant: Id, as_json: common.Json = False) -> None:
    """Show a tenant: plan, owner, limits, settings, policies."""
    with common.client() as (rt, _):
        print_tenant(rt.tenants.show(tenant), as_json=as_json)


@app.command("update")
def update_command(
    tenant: Id,
    plan: Plan = None,
    name: Name = None,
    owner_id: OwnerId = None,
    owner_name: OwnerName = None,
    owner_email: OwnerEmail = None,
    organization: Organization = None,
    quota: Quota = None,
    setting: Setting = None,
    encrypted: Encrypted = None,
    revision: Annotated[
        int | None, typer.Option(metavar="N", help="Only if it still has this revision, as 'show' tells it.")
    ] = None,
    as_json: common.Json = False,
) -> None:
    """Change what is given, and show the tenant.

    With --plan or --quota, the plan's limits are taken as tenant.plans_file says now.
    """
    with common.client() as (rt, _):
        changed = rt.tenants.update(
            tenant,
            plan=plan,
            name=name,
            owner=_owner(owner_id, owner_name, owner_email, organization),
            quotas=_quotas(quota),
            settings=_settings(setting, encrypted),
            revision=revision,
            actor=cli_actor(),
        )
        print_tenant(changed, as_json=as_json)


@app.command("suspend")
def suspend_command(tenant: Id, why: Why = "", as_json: common.Json = False) -> None:
    """Refuse a tenant's writes, quotas and access until it is resumed; reading and removing go on.

    Example: riptide tenant suspend acme --why unpaid
    """
    with common.client() as (rt, _):
        _changed(rt.tenants.suspend(tenant, why, actor=cli_actor()), as_json=as_json)


@app.command("resume")
def resume_command(tenant: Id, as_json: common.Json = False) -> None:
    """End a tenant's suspension."""
    with common.client() as (rt, _):
        _changed(rt.tenants.resume(tenant, actor=cli_actor()), as_json=as_json)


@app.command("disable")
def disable_command(
    tenant: Id,
    why: Why = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: common.Json = False,
) -> None:
    """Close a tenant for good; its data stays until it is deleted."""
    with common.client() as (rt, _):
        rt.tenants.show(tenant)
        if not yes:
            typer.confirm(f"Close the tenant {tenant} for good?", abort=True)
        _changed(rt.tenants.disable(tenant, why, actor=cli_actor()), as_json=as_json)


@app.command("delete")
def delete_command(
    tenant: Id,
    why: Why = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: common.Json = False,
) -> None:
    """Close a tenant for good and remove all it has; prints the reference of the command that does it."""
    with common.client() as (rt, _):
        rt.tenants.show(tenant)
        if not yes:
            typer.confirm(f"Delete the tenant {tenant} and all it has for good?", abort=True)
        ref = rt.tenants.delete(tenant, why, actor=cli_actor())
        common.print_json({"ref": str(ref)}) if as_json else typer.echo(ref)


@app.command("export")
def export_command(
    tenant: Id,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write it; else to standard output.")
    ] = None,
    entries: Annotated[
        bool, typer.Option("--entries", help="Also what its cache holds, with the values.")
    ] = False,
) -> None:
    """Write all that a tenant has as JSON Lines: record, usage, invoices, audit trail.

    Each line has its 'kind': tenant, usage, invoice, audit or entry. A file is there once it is complete.

    Example: riptide tenant export acme --entries --output acme.jsonl
    """
    with common.client() as (rt, _):
        rows = rt.tenants.export(tenant, entries=entries)
        if output is None:
            for row in rows:
                typer.echo(_line(row), nl=False)
            return
        part = output.with_name(f"{output.name}.part")
        try:
            with part.open("w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o600)
                count = _write(rows, file)
            part.replace(output)
        except OSError as error:
            raise InvalidInput(f"{output} cannot be written: {error.strerror}") from None
        finally:
            part.unlink(missing_ok=True)
        typer.echo(f"{count:,} rows in {output}")


def _changed(tenant: Tenant, *, as_json: bool) -> None:
    common.print_json(tenant_facts(tenant)) if as_json else typer.echo(f"{tenant.id} is {tenant.status}")


def _write(rows: Iterable[Row], file: TextIO) -> int:
    count = 0
    with common.bar() as bar:
        task = bar.add_task("Exporting", total=None)
        for count, row in enumerate(rows, 1):
            file.write(_line(row))
            bar.update(task, description=f"Exporting {row['kind']}: {count:,} rows")
    return count


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"


def _owner(*parts: str | None) -> dict[str, str] | None:
    names = ("id", "name", "email", "organization")
    given = {name: part for name, part in zip(names, parts, strict=True) if part is not None}
    return given or None


def _quotas(given: Sequence[str] | None) -> dict[str, int | None] | None:
    found: dict[str, int | None] = {}
    for resource, text in _pairs("--quota", given):
        if text in {"unlimited", "plan"}:
            found[resource] = UNLIMITED if text == "unlimited" else None
            continue
        found[resource] = common.number(
            text,
            f"--quota: {text[:80]!r} is no limit of {resource[:80]}: write a whole number, one like 200MiB, "
            "unlimited, or plan",
        )
    return found or None


def _settings(given: Sequence[str] | None, encrypted: bool | None) -> dict[str, Any] | None:
    found: dict[str, Any] = {} if encrypted is None else {SETTING: encrypted}
    for name, text in _pairs("--setting", given):
        try:
            found[name] = json.loads(text) if text else None
        except (ValueError, RecursionError):
            found[name] = text
    return found or None


def _pairs(option: str, given: Sequence[str] | None) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in given or ()]
    for name, equals, _ in pairs:
        if not (name and equals):
            raise InvalidInput(f"{option}: {name[:80]!r} is not of the form NAME=VALUE")
    return [(name, value) for name, _, value in pairs]
