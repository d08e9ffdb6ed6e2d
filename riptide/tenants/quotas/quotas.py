"""Quotas of tenants: whether something may be used, and how a tenant stands with each."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

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
from riptide.store.operation import Flow, ask, ask_all
from riptide.tenants.accounts.account import Account, settle, total
from riptide.tenants.accounts.sessions import session_levels
from riptide.tenants.facts import Facts, KnownTenants
from riptide.tenants.quotas.amounts import CACHED, LEVELS, OF_SESSIONS, RATES, check_amounts
from riptide.tenants.quotas.decision import Decision, Standing
from riptide.tenants.quotas.limits import Limits
from riptide.tenants.quotas.script import WINDOW_SECONDS, Answer, Ask, QuotaScripts
from riptide.tenants.registry.record import Records
from riptide.tenants.registry.registry import Registry
from riptide.tenants.resources import RESOURCES, UNLIMITED

Source = Literal["override", "plan", "default"]


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

    def check(self, tenant: str, amounts: Mapping[str, int]) -> Flow[Decision]:
        """Take all of it, or nothing. Raises InvalidInput, MultiTenancyDisabled, UnknownTenant."""
        self._check_tenant(tenant)
        return (yield from self._ask(tenant, check_amounts(amounts))).decision

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

    def _ask(self, tenant: str, amounts: Mapping[str, int], wanted: int = 0, missed: int = 0) -> Flow[Answer]:
        counted = {name: amount for name, amount in amounts.items() if self._limits.counts(name)}
        try:
            answer = yield from self._ask_server(tenant, counted, wanted, missed)
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

    def _ask_server(self, tenant: str, amounts: Mapping[str, int], wanted: int, missed: int) -> Flow[Answer]:
        """Levels are read first: what has expired must not count."""
        if amounts.keys().isdisjoint(LEVELS):
            asked = Ask(tenant, amounts, {}, wanted=wanted, missed=missed)
            return (yield from ask(self._scripts.check(asked)))
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
