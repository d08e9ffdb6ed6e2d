"""Quotas of tenants: whether something may be used, and how a tenant stands with each."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, cast

from riptide.config import Settings
from riptide.errors import (
    InvalidInput,
    MultiTenancyDisabled,
    PersistenceOff,
    ServerUnavailable,
    UnknownTenant,
)
from riptide.names import DEFAULT_TENANT, check_tenant
from riptide.store.keys import Keys
from riptide.store.operation import Flow, Operation, ask, ask_all
from riptide.tenants.accounts.account import Account, settle, total
from riptide.tenants.accounts.sessions import session_levels
from riptide.tenants.facts import Facts, KnownTenants
from riptide.tenants.quotas.amounts import CACHED, LEVELS, OF_SESSIONS, RATES, check_amounts
from riptide.tenants.quotas.decision import Decision, Standing
from riptide.tenants.quotas.limits import Limits
from riptide.tenants.quotas.script import WINDOW_SECONDS, Answer, Ask, Charged, QuotaScripts
from riptide.tenants.registry.record import Records
from riptide.tenants.registry.registry import Registry
from riptide.tenants.resources import RESOURCES, UNLIMITED

Source = Literal["override", "plan", "default"]
_ONE = {"operations_per_minute": 1}
_MOST_PREPARED = 10_000


@dataclass(frozen=True, slots=True)
class Quota:
    """How a tenant stands with a resource, and where its limit comes from."""

    resource: str
    standing: Standing
    source: Source


class Quotas:
    """Builds the flows, shared by both faces. Safe to share between threads."""

    def __init__(
        self,
        keys: Keys,
        settings: Settings,
        known: KnownTenants,
        registry: Registry,
        window_seconds: int = WINDOW_SECONDS,
    ) -> None:
        self._keys, self._known, self._registry = keys, known, registry
        self._enabled = settings.tenant.enabled
        self._settings, self._window = settings, window_seconds
        self._records = Records(keys)
        self.renew()

    def renew(self) -> None:
        """The settings that limits come from have changed."""
        self._limits = Limits(self._settings)
        self._scripts = QuotaScripts(self._keys, self._settings, self._limits, self._window)
        self._prepared = lru_cache(_MOST_PREPARED)(self._prepare)

    def check(
        self, tenant: str, amounts: Mapping[str, int], along: Operation[Any] | None = None
    ) -> Flow[Decision]:
        """Take all of it, or nothing. Raises InvalidInput, MultiTenancyDisabled, UnknownTenant.

        Where rates and totals alone are asked for, `along` is sent with it; what it answers is its own
        business.
        """
        self._check_tenant(tenant)
        return (yield from self._ask(tenant, check_amounts(amounts), along=along)).decision

    def check_one(self, tenant: str, along: Operation[Any] | None = None) -> Flow[Decision]:
        """`check` of one operation: what nearly every request asks is prepared once for each tenant."""
        prepared = self._prepared(tenant)
        return (yield from self._ask(tenant, _ONE, along=along, prepared=prepared)).decision

    def _prepare(self, tenant: str) -> Operation[Answer] | None:
        """None where each call is another one."""
        self._check_tenant(tenant)
        if self._settings.tenant.suspend_after_refusals or not self._limits.counts("operations_per_minute"):
            return None
        return self._scripts.check(Ask(tenant, _ONE, {}))

    def charge(self, owed: Mapping[str, Mapping[str, int]]) -> Flow[list[Charged]]:
        """Take what fits of what tenants have used: rates and totals by tenant. Those of a tenant that is not
        there, or not active, are forgotten. Raises ServerUnavailable."""
        operations = []
        for tenant, amounts in owed.items():
            if counted := {name: amount for name, amount in amounts.items() if self._limits.counts(name)}:
                operations.append(self._scripts.charge(tenant, counted))
        return (yield from ask_all(operations)) if operations else []

    def grant(self, tenant: str, resource: str, amount: int, wanted: int, missed: int) -> Flow[Answer]:
        """Take `amount` of a rate or more, up to `wanted`, to be used within a second."""
        return (yield from self._ask(tenant, {resource: amount}, max(wanted, 1), missed))

    def check_leased(self, tenant: str, resource: str) -> None:
        """Raises as `check`, and InvalidInput for what is no rate."""
        self._check_tenant(tenant)
        if resource not in RATES:
            raise InvalidInput(f"only rates are leased: {', '.join(RATES)}; not {repr(resource)[:80]}")

    def show(self, tenant: str) -> Flow[list[Quota]]:
        """Of every resource. Raises as `check` does, and ServerUnavailable."""
        found = yield from self._registry.show(tenant)
        facts = yield from self._known.learn(tenant)
        held = yield from total(self._accounts(facts))
        taken = yield from ask(self._scripts.look(tenant))
        levels = {"memory_bytes": held.bytes, "cache_entries": held.entries}
        levels |= yield from self._levels_of_sessions(facts)
        quotas = []
        for resource in RESOURCES:
            used, reset = taken.get(resource, (levels.get(resource, 0), None))
            limit = self._limits.defaults[resource]
            source: Source = "default"
            if resource in found.limits and self._limits.by_record(resource):
                limit = found.limits[resource]
                source = "override" if resource in found.overrides else "plan"
            if not self._limits.counts(resource):
                limit = UNLIMITED
            quotas.append(Quota(resource, Standing(limit, used, reset_after=reset), source))
        return quotas

    def _check_tenant(self, tenant: str) -> None:
        if check_tenant(tenant) != DEFAULT_TENANT and not self._enabled:
            raise MultiTenancyDisabled(
                f"tenant.enabled is off, so there is no tenant {tenant!r}: switch it on, or ask for 'default'"
            )

    def _ask(
        self,
        tenant: str,
        amounts: Mapping[str, int],
        wanted: int = 0,
        missed: int = 0,
        along: Operation[Any] | None = None,
        prepared: Operation[Answer] | None = None,
    ) -> Flow[Answer]:
        counted = {name: amount for name, amount in amounts.items() if self._limits.counts(name)}
        try:
            answer = yield from self._ask_server(tenant, counted, wanted, missed, along, prepared)
        except ServerUnavailable as error:
            # Whoever switched it off wants nothing to be refused by it.
            closed = () if isinstance(error, PersistenceOff) else self._limits.closed(amounts)
            return Answer(Decision(tenant, allowed=not closed, violated=closed, degraded=True))
        status = answer.decision.status
        if status == "unknown":
            raise UnknownTenant(
                f"there is no tenant {tenant!r}: create it first, by rt.tenants.create({tenant!r}) or "
                f"'riptide tenant create {tenant}'"
            )
        if status != "active":
            with suppress(ServerUnavailable):  # then the next who hears of it does it
                yield from self._tell_shards(tenant, status, now=answer.suspended_now)
        return answer

    def _ask_server(
        self,
        tenant: str,
        amounts: Mapping[str, int],
        wanted: int,
        missed: int,
        along: Operation[Any] | None,
        prepared: Operation[Answer] | None,
    ) -> Flow[Answer]:
        """Levels are read first: what has expired must not count."""
        if prepared is not None or amounts.keys().isdisjoint(LEVELS):
            asked = prepared or self._scripts.check(Ask(tenant, amounts, {}, wanted=wanted, missed=missed))
            if along is not None:
                _, found = yield from ask_all([along, asked])
                return cast(Answer, found)
            answer: Answer = yield asked
            return answer
        facts = self._known.known(tenant) or (yield from self._known.learn(tenant))
        while True:
            levels = yield from self._levels(facts, amounts)
            incarnation = facts.incarnation if facts.tenant == tenant else ""
            answer = yield from ask(self._scripts.check(Ask(tenant, amounts, levels, incarnation)))
            if not answer.outdated:
                return answer
            facts = yield from self._known.learn(tenant)

    def _levels(self, facts: Facts, amounts: Iterable[str]) -> Flow[dict[str, int]]:
        """Those that are needed."""
        wanted = set(amounts)
        found: dict[str, int] = {}
        if not wanted.isdisjoint(OF_SESSIONS):
            found |= yield from self._levels_of_sessions(facts)
        if not wanted.isdisjoint(CACHED):
            found |= yield from self._levels_of_cache(facts)
        return found

    def _levels_of_sessions(self, facts: Facts) -> Flow[dict[str, int]]:
        (held,) = yield from session_levels(self._keys, [facts.tenant])
        stored = held.storage_bytes + held.entries_bytes
        return {"active_sessions": held.sessions, "storage_bytes": stored}

    def _levels_of_cache(self, facts: Facts) -> Flow[dict[str, int]]:
        accounts = self._accounts(facts)
        balances = yield from ask_all([account.settle() for account in accounts])
        for place, account in enumerate(accounts):
            if balances[place].more:
                balances[place] = yield from settle(account)
        entries, held = (sum(getattr(one, name) for one in balances) for name in ("entries", "bytes"))
        return {"memory_bytes": held, "cache_entries": entries}

    def _accounts(self, facts: Facts) -> list[Account]:
        return [Account(self._keys, tag) for tag in facts.tags]

    def _tell_shards(self, tenant: str, status: str, *, now: bool) -> Flow[None]:
        """Bring the mirrors of a record that a refusal changed up to date. Whoever suspended the tenant may
        have died before this, so that all who hear of it for the first time do it, too."""
        known = self._known.known(tenant)
        if now or (known is not None and known.tenant == tenant and known.status != status):
            stored = yield from ask(self._records.read(tenant))
            if stored.fields:
                yield from ask_all(self._records.change_mirrors(tenant, stored.fields))
                self._known.forget(tenant)
