"""Tenants as the command line shows them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from riptide.cli import common
from riptide.tenants.registry.tenant import Tenant
from riptide.tenants.resources import RESOURCES, UNLIMITED

_COLORS: Mapping[str, str] = {"active": "green", "suspended": "yellow", "disabled": "red"}


def tenant_facts(tenant: Tenant) -> dict[str, Any]:
    """A tenant as --json shows it."""
    return {
        "id": tenant.id,
        "status": tenant.status,
        "why": tenant.why,
        "plan": tenant.plan,
        **tenant.facts.model_dump(),
        "limits": _in_order(tenant.limits),
        "overrides": _in_order(tenant.overrides),
        "policies": [asdict(rule) for rule in tenant.policies],
        "plans": [{"since": common.moment(since), "plan": plan} for since, plan in tenant.plans],
        "shards": tenant.shards,
        "encrypted": tenant.key > 0,
        "revision": tenant.revision,
        "incarnation": tenant.incarnation,
        "created": common.moment(tenant.created_ms) if tenant.created_ms else None,
        "changed": common.moment(tenant.changed_ms) if tenant.changed_ms else None,
    }


def print_tenant(tenant: Tenant, *, as_json: bool) -> None:
    shown = tenant_facts(tenant)
    if as_json:
        common.print_json(shown)
        return
    for name in ("limits", "overrides"):
        shown[name] = {resource: _limit(limit) for resource, limit in shown[name].items()}
    shown["encrypted"] = "yes" if tenant.key else "no"
    shown["policies"] = [str(rule) for rule in tenant.policies]
    for name, value in shown.items():
        for label, text in _lines(name, value):
            common.console.print(Text(f"{label:12} {common.printable(text)}"), soft_wrap=True)


def _lines(name: str, value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, dict | list):
        return [(name, "-" if value in {None, ""} else str(value))]
    if isinstance(value, dict):
        rows = [
            f"{key}: {item if isinstance(item, str) else json.dumps(item)}"
            for key, item in value.items()
            if item != ""
        ]
    else:
        rows = [item if isinstance(item, str) else f"{item['plan']} since {item['since']}" for item in value]
    return [(name if number == 0 else "", row) for number, row in enumerate(rows or ["-"])]


def _in_order(limits: Mapping[str, int]) -> dict[str, int]:
    return {resource: limits[resource] for resource in RESOURCES if resource in limits}


def _limit(limit: int) -> str:
    return "unlimited" if limit == UNLIMITED else f"{limit:,}"


def tenants_table(tenants: Sequence[Tenant]) -> Table:
    shown = Table(title="Tenants", title_justify="left", box=None, pad_edge=False)
    for heading in ("id", "status", "plan", "name", "owner", "created (UTC)"):
        shown.add_column(heading, overflow="fold" if heading in {"name", "owner"} else "ellipsis")
    for tenant in tenants:
        owner = tenant.owner
        shown.add_row(
            tenant.id,
            Text(tenant.status, _COLORS.get(tenant.status, "")),
            tenant.plan or "-",
            Text(common.printable(tenant.name) or "-"),
            Text(common.printable(owner.name or owner.email or owner.organization or owner.id) or "-"),
            common.moment(tenant.created_ms) if tenant.created_ms else "-",
        )
    return shown
