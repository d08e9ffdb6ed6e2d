"""What a process knows of tenants: learnt when it first meets one, and anew when a script says so.

`shards` never changes for an incarnation, so that entries can be found without asking; all else is checked
where it counts, by the scripts themselves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
#: Stands for that of the default tenant, which has none, where data keys are kept.
NO_INCARNATION = "0"
_FIELDS = ("incarnation", "status", "why", "shards", "key", "revision")


@dataclass(frozen=True, slots=True)
class Facts:
    """Of a tenant. `incarnation` is '' without a record; `key` is its current data key, 0: none, by that
    `revision` of the record; `limits` are those that it sets, -1: unlimited."""

    tenant: str
    incarnation: str = ""
    status: str = "active"
    why: str = ""
    shards: int = 1
    key: int = 0
    revision: int = 0
    limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def tags(self) -> list[str]:
        """The hash tags of its keys, one for each slot."""
        return [self.tenant] if self.shards == 1 else [f"{self.tenant}.{n}" for n in range(self.shards)]

    @property
    def key_place(self) -> str:
        """What tells its data keys from those of another tenant that had its id before."""
        return self.incarnation or NO_INCARNATION

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
        incarnation, status, why, *values = [None if value is None else value.decode() for value in reply]
        if incarnation is None:
            return None
        shards, key, revision, *given = [None if value is None else int(value) for value in values]
        found = {name: value for name, value in zip(RESOURCES, given, strict=True) if value is not None}
        return Facts(
            tenant, incarnation, status or "pending", why or "", shards or 1, key or 0, revision or 0, found
        )

    return Operation(("HMGET", keys.record(tenant), *_FIELDS, *limits), parse)


class KnownTenants:
    """The tenants that this process has met. Safe to share between threads."""

    def __init__(
        self, keys: Keys, settings: TenantSettings, require_key: Callable[[str], Flow[None]] | None = None
    ) -> None:
        """`require_key` sees that a tenant has a data key, where all are to have one."""
        self.settings = settings
        self._keys, self._require_key = keys, require_key
        self._shared = settings.enabled and settings.isolation_level == "none"
        self._known: dict[str, Facts] = {}
        self._forget_all()

    def known(self, tenant: str) -> Facts | None:
        """Of whoever it is whose keys the tenant uses; None if they are still to be learnt."""
        return self._known.get(DEFAULT_TENANT if self._shared else tenant)

    def learn(self, tenant: str) -> Flow[Facts]:
        """The same, by what the record says now.

        Raises InvalidInput, MultiTenancyDisabled, UnknownTenant; ServerUnavailable.
        """
        if check_tenant(tenant) == DEFAULT_TENANT:
            return (yield from self._learn_default())
        if not self.settings.enabled:
            raise MultiTenancyDisabled(
                f"tenant.enabled is off, so there is no tenant {tenant!r}: switch it on, or name none"
            )
        if self._shared:
            return (yield from self._learn_default())
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
            if self._require_key:
                raise UnknownTenant(
                    f"the tenant {tenant!r} has no record, so it can have no data key, and "
                    "security.enable_encryption_at_rest wants one: create it first"
                )
            found = Facts(tenant)
            yield from ask(meet(self._keys, tenant))
        elif self._require_key and not found.key and found.status != "disabled":
            yield from self._require_key(tenant)
            found = (yield from ask(read_facts(self._keys, tenant))) or found
        if len(self._known) >= _MOST_KNOWN:
            self._forget_all()
        self._known[tenant] = found
        return found

    def _learn_default(self) -> Flow[Facts]:
        """Its data key is all that is to be learnt of it."""
        key, revision = yield from ask(_read_default(self._keys))
        if self._require_key and not key:
            yield from self._require_key(DEFAULT_TENANT)
            key, revision = yield from ask(_read_default(self._keys))
        self._known[DEFAULT_TENANT] = found = replace(DEFAULT, key=key, revision=revision)
        return found

    def forget(self, tenant: str) -> None:
        if tenant != DEFAULT_TENANT:
            self._known.pop(tenant, None)

    def _forget_all(self) -> None:
        self._known = {} if self._require_key else {DEFAULT_TENANT: DEFAULT}


def _read_default(keys: Keys) -> Operation[tuple[int, int]]:
    def parse(reply: Any) -> tuple[int, int]:
        key, revision = (int(value or 0) for value in reply)
        return key, revision

    return Operation(("HMGET", keys.record(DEFAULT_TENANT), "key", "revision"), parse)
