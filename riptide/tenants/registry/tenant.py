"""A tenant as its record tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic_core import from_json

from riptide.names import DEFAULT_TENANT
from riptide.store.keys import PARTITIONS
from riptide.tenants.registry.facts import Facts, Owner, read_facts
from riptide.tenants.registry.policies import Rule, read_rules

Status = Literal["pending", "active", "suspended", "disabled"]
#: A record as it stands on the server.
Fields = Mapping[str, str]
_LIMIT = "limit:"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant as its record tells it.

    `incarnation` tells it from another tenant that had the same id before. `revision` grows with each change.
    `limits` are those of its plan, and over them its own (`overrides`): -1 is unlimited; for a resource that
    is not there the deployment's default holds. `plans` is since when (Unix ms) it had which plan. `key` is
    its current data key, 0: none.
    """

    id: str
    incarnation: str
    status: Status
    why: str
    plan: str
    shards: int
    key: int
    revision: int
    created_ms: int
    changed_ms: int
    facts: Facts
    limits: Mapping[str, int]
    overrides: Mapping[str, int]
    policies: tuple[Rule, ...]
    plans: tuple[tuple[int, str], ...]

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def owner(self) -> Owner:
        return self.facts.owner

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.facts.settings

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self.facts.metadata


def default_tenant() -> Tenant:
    """It always exists, has no record, and may use what the deployment's defaults allow."""
    return tenant_of(DEFAULT_TENANT, {"status": "active", "shards": str(len(PARTITIONS))})


def pending_tenant(tenant: str, incarnation: str, since_ms: int) -> Tenant:
    """Its id is reserved, and its record not written yet."""
    stamp = str(since_ms)
    fields = {"status": "pending", "incarnation": incarnation, "created_ms": stamp, "changed_ms": stamp}
    return tenant_of(tenant, fields)


def tenant_of(tenant: str, fields: Fields) -> Tenant:
    return Tenant(
        id=tenant,
        incarnation=fields.get("incarnation", ""),
        status=cast(Status, fields.get("status", "pending")),
        why=fields.get("why", ""),
        plan=fields.get("plan", ""),
        shards=int(fields.get("shards", 1)),
        key=int(fields.get("key", 0)),
        revision=int(fields.get("revision", 0)),
        created_ms=int(fields.get("created_ms", 0)),
        changed_ms=int(fields.get("changed_ms", 0)),
        facts=read_facts(fields.get("facts", "")),
        limits=limits_of(fields),
        overrides=from_json(fields.get("override", "{}")),
        policies=read_rules(fields.get("policies")),
        plans=tuple((since, plan) for since, plan in from_json(fields.get("plans", "[]"))),
    )


def limits_of(fields: Fields) -> dict[str, int]:
    return {
        name.removeprefix(_LIMIT): int(value) for name, value in fields.items() if name.startswith(_LIMIT)
    }


def limit_fields(limits: Mapping[str, int]) -> dict[str, str]:
    return {_LIMIT + resource: str(limit) for resource, limit in limits.items()}


def differences(before: Tenant, after: Tenant) -> dict[str, Any]:
    """What the audit trail is told of a change: no more than the names of what may be private."""
    told: dict[str, Any] = {}
    for name in ("status", "why", "plan", "key"):
        if getattr(before, name) != getattr(after, name):
            told[name] = [getattr(before, name), getattr(after, name)]
    for resource in sorted({*before.limits, *after.limits}):
        if (limits := [before.limits.get(resource), after.limits.get(resource)])[0] != limits[1]:
            told.setdefault("limits", {})[resource] = limits
    for name, rules in (
        ("allowed", set(after.policies) - set(before.policies)),
        ("disallowed", set(before.policies) - set(after.policies)),
    ):
        if rules:
            told[name] = sorted(map(str, rules))
    private = ("name", "owner", "settings", "metadata")
    changed = [name for name in private if getattr(before, name) != getattr(after, name)]
    return told | ({"changed": changed} if changed else {})
