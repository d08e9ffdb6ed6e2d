"""The registry of tenants: create, show, list, change, close; and what each may do."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from uuid_utils import uuid7

from commands import PurgeTenant
from riptide.config import Settings
from riptide.errors import InvalidInput, MultiTenancyDisabled, TenantExists, TooManyTenants
from riptide.names import DEFAULT_TENANT, check_tenant
from riptide.store.keys import Keys
from riptide.store.operation import Flow, ask, ask_all
from riptide.streams.message import Ref
from riptide.streams.publishing import Outgoing, Publisher
from riptide.tenants.keyring.data_keys import SETTING, DataKeys, SpareKey
from riptide.tenants.plans import Plans, load_plans
from riptide.tenants.registry.audit import OK, Audit, Deed, check_actor
from riptide.tenants.registry.changing import Changing, unknown
from riptide.tenants.registry.creating import Creating
from riptide.tenants.registry.facts import read_facts
from riptide.tenants.registry.index import Index
from riptide.tenants.registry.policies import allowed, check_asked, check_rule, read_rules, rules_text
from riptide.tenants.registry.record import SHARDS, Records
from riptide.tenants.registry.settings import warm_list
from riptide.tenants.registry.tenant import Fields, Tenant, default_tenant, pending_tenant, tenant_of
from riptide.tenants.registry.terms import plan_history, terms

_LONGEST_WHY = 500
_MOST_LISTED = 1000
_STATUS_AFTER = {"suspend": "suspended", "resume": "active", "disable": "disabled"}

Quotas = Mapping[str, int | None] | None


@dataclass(frozen=True, slots=True)
class TenantPage:
    """Tenants in order of their ids. `cursor` is what the next page comes after; None: there is none."""

    tenants: list[Tenant]
    cursor: str | None


class Registry:
    """Builds the flows on tenants, shared by both faces. With multi-tenancy off there is only 'default'."""

    def __init__(self, keys: Keys, settings: Settings, publisher: Publisher, encryption: DataKeys) -> None:
        self._settings, self._publisher, self._encryption = settings.tenant, publisher, encryption
        self._index, self._records = Index(keys), Records(keys)
        self.audit = Audit(keys, settings.security)
        self._creating = Creating(self._index, self._records, self.audit, settings.tenant)
        self._changing = Changing(self._records, self.audit)

    @cached_property
    def plans(self) -> Plans:
        return load_plans(self._settings.plans_file)

    def renew_plans(self, plans: Plans) -> None:
        """These hold from now on."""
        self.plans = plans

    def create(
        self,
        tenant: str | None,
        *,
        plan: str,
        quotas: Quotas,
        shards: int,
        actor: str | None,
        **facts: Any,
    ) -> Flow[Tenant]:
        given = _new_id() if tenant is None else check_tenant(tenant)
        self._check_enabled()
        if given == DEFAULT_TENANT:
            raise TenantExists(f"the tenant {given} always exists")
        if type(shards) is not int or shards not in SHARDS:
            raise InvalidInput(f"shards is one of {', '.join(map(str, SHARDS))}")
        incarnation = secrets.token_hex(8)
        told = read_facts("").merged(**facts)
        warm_list(told.settings)
        fixed = {"incarnation": incarnation, "status": "active", "shards": str(shards), "key": "0"}
        fixed |= {"revision": "1", "facts": told.json_text()}
        fixed |= {
            name: text for name, text in terms(self.plans, plan, {}, quotas).items() if text is not None
        }

        def fields(now_ms: int) -> Fields:
            stamp = str(now_ms)
            history = plan_history((), now_ms, plan)
            return {**fixed, "created_ms": stamp, "changed_ms": stamp, "plans": history}

        deed = Deed(given, check_actor(actor), "create")
        if not self._encryption.wanted(told.settings):
            return (yield from self._creating.create(deed, incarnation, fields))
        key = yield from self._encryption.make(given, incarnation)
        fixed["key"] = str(key)
        try:
            return (yield from self._creating.create(deed, incarnation, fields))
        except (TenantExists, TooManyTenants):
            yield from self._encryption.drop(given, incarnation, key)
            raise

    def show(self, tenant: str) -> Flow[Tenant]:
        if check_tenant(tenant) == DEFAULT_TENANT:
            return default_tenant()
        self._check_enabled()
        stored = yield from ask(self._records.read(tenant))
        if stored.fields:
            return tenant_of(tenant, stored.fields)
        held = yield from ask(self._index.reservation(tenant))
        if held is None:
            raise unknown(tenant)
        return pending_tenant(tenant, held.incarnation, held.since_ms)

    def page(self, after: str | None, limit: int) -> Flow[TenantPage]:
        if type(limit) is not int or not 1 <= limit <= _MOST_LISTED:
            raise InvalidInput(f"limit is a whole number from 1 to {_MOST_LISTED:,}")
        start = "" if after is None else check_tenant(after)
        rows = dict((yield from ask(self._index.page(start, limit + 1))) if self._settings.enabled else ())
        ids = sorted({*rows, DEFAULT_TENANT} if start < DEFAULT_TENANT else rows)
        read = [tenant for tenant in ids[:limit] if tenant != DEFAULT_TENANT]
        stored = dict(zip(read, (yield from ask_all(list(map(self._records.read, read)))), strict=True))
        tenants = []
        for tenant in ids[:limit]:
            if tenant == DEFAULT_TENANT:
                tenants.append(default_tenant())
            elif fields := stored[tenant].fields:
                tenants.append(tenant_of(tenant, fields))
            elif held := rows[tenant]:
                tenants.append(pending_tenant(tenant, held.incarnation, held.since_ms))
        return TenantPage(tenants, ids[limit - 1] if len(ids) > limit else None)

    def update(
        self,
        tenant: str,
        *,
        plan: str | None,
        quotas: Quotas,
        revision: int | None,
        actor: str | None,
        **facts: Any,
    ) -> Flow[Tenant]:
        deed = self._deed(tenant, actor, "update")
        key = yield from self._key_for(tenant, facts)

        def edit(found: Tenant, now_ms: int) -> dict[str, str | None]:
            told = found.facts.merged(**facts)
            warm_list(told.settings)
            values: dict[str, str | None] = {"facts": told.json_text()}
            if key is not None:
                values |= key.fields(found, encrypted=self._encryption.wanted(told.settings))
            chosen = found.plan if plan is None else plan
            if plan is not None or quotas is not None:
                values |= terms(self.plans, chosen, found.overrides, quotas, found.limits)
            if chosen != found.plan:
                values["plans"] = plan_history(found.plans, now_ms, chosen)
            return values

        after = yield from self._changing.change(deed, edit, revision)
        if key is not None and key.id and after.key != key.id:
            yield from self._encryption.drop(tenant, key.incarnation, key.id)
        return after

    def _key_for(self, tenant: str, facts: Mapping[str, Any]) -> Flow[SpareKey | None]:
        """Where a change switches encryption: what it needs."""
        if not isinstance(given := facts.get("settings"), Mapping) or SETTING not in given:
            return None
        found = yield from self.show(tenant)
        wanted = self._encryption.wanted(found.facts.merged(**facts).settings)
        made = (
            (yield from self._encryption.make(tenant, found.incarnation)) if wanted > bool(found.key) else 0
        )
        return SpareKey(found.incarnation, made)

    def set_status(
        self,
        operation: Literal["suspend", "resume", "disable"],
        tenant: str,
        why: str,
        actor: str | None,
    ) -> Flow[Tenant]:
        """What is disabled stays so. Done again, it keeps the reason, unless there is a new one."""
        deed = self._deed(tenant, actor, operation)
        status, text = _STATUS_AFTER[operation], _checked_why(why)

        def edit(found: Tenant, _: int) -> dict[str, str | None]:
            return {} if found.status == status and not text else {"status": status, "why": text or None}

        return (yield from self._changing.change(deed, edit, closed_too=operation == "disable"))

    def delete(self, tenant: str, why: str, actor: str | None) -> Flow[Ref]:
        """Disable a tenant and publish its purging; asked again, it is the same command."""
        by = check_actor(actor)
        found = yield from self.set_status("disable", tenant, why, by)
        about = {"incarnation": found.incarnation, "why": found.why}
        yield from self.audit.note(Deed(tenant, by, "delete"), OK, about, operators=True)
        command = PurgeTenant(incarnation=found.incarnation, note=found.why)
        return (yield from self._publisher.publish(Outgoing(command, tenant), f"purge:{found.incarnation}"))

    def allow(self, tenant: str, resource: str, action: str, actor: str | None) -> Flow[Tenant]:
        deed, rule = self._deed(tenant, actor, "allow", "policies"), check_rule(resource, action)

        def edit(found: Tenant, _: int) -> dict[str, str | None]:
            return {"policies": rules_text({*found.policies, rule})}

        return (yield from self._changing.change(deed, edit))

    def disallow(self, tenant: str, resource: str, action: str, actor: str | None) -> Flow[Tenant]:
        deed, rule = self._deed(tenant, actor, "disallow", "policies"), check_rule(resource, action)

        def edit(found: Tenant, _: int) -> dict[str, str | None]:
            return {"policies": rules_text({*found.policies} - {rule})}

        return (yield from self._changing.change(deed, edit))

    def validate_access(self, tenant: str, resource: str, action: str) -> Flow[bool]:
        check_asked(resource, action)
        if check_tenant(tenant) == DEFAULT_TENANT:
            return True
        if not self._settings.enabled:
            return False
        status, rules = yield from ask(self._records.fields(tenant, ("status", "policies")))
        return status == "active" and allowed(read_rules(rules), resource, action)

    def _deed(self, tenant: str, actor: str | None, operation: str, resource: str = "tenant") -> Deed:
        """Of what changes a record. Raises InvalidInput, also for 'default', and MultiTenancyDisabled."""
        name = check_tenant(tenant)
        self._check_enabled()
        if name == DEFAULT_TENANT:
            raise InvalidInput(
                "the tenant default has no record that could be changed: the section tenant of the "
                "configuration says what it may use"
            )
        return Deed(name, check_actor(actor), operation, resource)

    def _check_enabled(self) -> None:
        if not self._settings.enabled:
            raise MultiTenancyDisabled(
                "multi-tenancy is off, so there is only the tenant default; set tenant.enabled "
                "(ENABLE_MULTI_TENANCY=true)"
            )


def _new_id() -> str:
    """A new tenant's id; ids that are made later sort later."""
    digits = uuid7().hex
    return f"t-{digits[:12]}-{digits[-8:]}"


def _checked_why(why: str) -> str:
    if isinstance(why, str) and len(why) <= _LONGEST_WHY and (not why or why.isprintable()):
        return why
    raise InvalidInput(f"why is a text of at most {_LONGEST_WHY} printable characters")
