"""What a process knows of tenants: learnt when it first meets one, and anew when a script says so.

`shards` never changes for an incarnation, so that entries can be found without asking; all else is checked
where it counts, by the scripts themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from riptide.config import TenantSettings
from riptide.errors import MultiTenancyDisabled, TenantNotActive, UnknownTenant
from riptide.names import DEFAULT_TENANT, check_tenant
from riptide.store.keys import PARTITIONS, Keys
from riptide.store.operation import Flow, Operation, ask
from riptide.tenants.accounts.unrecorded import meet
from riptide.tenants.purge.mark import is_begun
from riptide.tenants.resources import RESOURCES

_MOST_KNOWN = 100_000
_FIELDS = ("incarnation", "status", "why", "shards", "key")


@dataclass(frozen=True, slots=True)
class Facts:
    """Of a tenant. `incarnation` is '' without a record; `key` is its current data key, 0: none; `limits` are
    those that its record sets, -1: unlimited."""

    tenant: str
    incarnation: str = ""
    status: str = "active"
    why: str = ""
    shards: int = 1
    key: int = 0
    limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def tags(self) -> list[str]:
        """The hash tags of its keys, one for each slot."""
        return [self.tenant] if self.shards == 1 else [f"{self.tenant}.{n}" for n in range(self.shards)]

    def require_active(self) -> None:
        """Raises TenantNotActive."""
        if self.status != "active":
            because = f" ({self.why})" if self.why else ""
            raise TenantNotActive(
                f"tenant {self.tenant!r} is {self.status}{because}; nothing was written",
                status=self.status,
                why=self.why,
            )


#: It has no record and always exists. How its keys are spread is a fact of the tenant alone: processes whose
#: settings differ must still find the same ones.
DEFAULT = Facts(DEFAULT_TENANT, shards=len(PARTITIONS))


def read_facts(keys: Keys, tenant: str) -> Operation[Facts | None]:
    """What the tenant's record says; None if there is none."""
    limits = [f"limit:{resource}" for resource in RESOURCES]

    def parse(reply: Any) -> Facts | None:
        incarnation, status, why, shards, key, *values = [None if v is None else v.decode() for v in reply]
        if incarnation is None:
            return None
        found = {name: int(value) for name, value in zip(RESOURCES, values, strict=True) if value is not None}
        return Facts(
            tenant, incarnation, status or "pending", why or "", int(shards or 1), int(key or 0), found
        )

    return Operation(("HMGET", keys.record(tenant), *_FIELDS, *limits), parse)


class KnownTenants:
    """The tenants that this process has met. Safe to share between threads."""

    def __init__(self, keys: Keys, settings: TenantSettings) -> None:
        self.settings = settings
        self._keys = keys
        self._shared = settings.enabled and settings.isolation_level == "none"
        self._known: dict[str, Facts] = {DEFAULT_TENANT: DEFAULT}

    def known(self, tenant: str) -> Facts | None:
        """Of whoever it is whose keys the tenant uses; None if they are still to be learnt."""
        return DEFAULT if self._shared else self._known.get(tenant)

    def learn(self, tenant: str) -> Flow[Facts]:
        """The same, by what the record says now.

        Raises InvalidInput, MultiTenancyDisabled, UnknownTenant; ServerUnavailable.
        """
        if check_tenant(tenant) == DEFAULT_TENANT:
            return DEFAULT
        if not self.settings.enabled:
            raise MultiTenancyDisabled(
                f"tenant.enabled is off, so there is no tenant {tenant!r}: switch it on, or name none"
            )
        if self._shared:
            return DEFAULT
        found = yield from ask(read_facts(self._keys, tenant))
        if found is not None and is_begun(found.incarnation):
            self.forget(tenant)
            raise UnknownTenant(f"the tenant {tenant!r} is being purged; afterwards its id is free again")
        if found is None:
            self.forget(tenant)
            if self.settings.isolation_level == "strong":
                raise UnknownTenant(
                    f"there is no tenant {tenant!r}: create it first, by rt.tenants.create({tenant!r}) or "
                    f"'riptide tenant create {tenant}'"
                )
            found = Facts(tenant)
            yield from ask(meet(self._keys, tenant))
        if len(self._known) >= _MOST_KNOWN:
            self._known = {DEFAULT_TENANT: DEFAULT}
        self._known[tenant] = found
        return found

    def forget(self, tenant: str) -> None:
        if tenant != DEFAULT_TENANT:
            self._known.pop(tenant, None)
