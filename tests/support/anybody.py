"""Caches for tests that are not about tenants: every tenant is there, has no record and no caps."""

from riptide.cache.access.tally import Tally
from riptide.cache.accounts.caps import Caps
from riptide.cache.core import Core
from riptide.cache.space import Digests, Space
from riptide.config import TenantSettings
from riptide.names import check_tenant
from riptide.store.keys import Keys
from riptide.store.operation import Flow
from riptide.tenants.facts import Facts, KnownTenants

_NO_CAPS = Caps(-1, -1, by_record=False)


class Anybody(KnownTenants):
    """Whoever is named, over so many shards."""

    def __init__(self, keys: Keys, shards: int = 1) -> None:
        super().__init__(keys, TenantSettings(enabled=True, isolation_level="logical"))
        self._shards = shards

    def known(self, tenant: str) -> Facts:
        return Facts(tenant, shards=self._shards)

    def learn(self, tenant: str) -> Flow[Facts]:
        return self.known(check_tenant(tenant))
        yield


def space_of(keys: Keys, tenant: str, namespace: str, shards: int = 1, version: str = "1") -> Space:
    """A namespace of such a tenant."""
    return Space(keys, Digests(version), Facts(tenant, shards=shards), namespace, _NO_CAPS, Tally())


def found(core: Core, tenant: str | None = None, namespace: str | None = None) -> Space:
    """The same by way of a core."""
    space = core.space(tenant, namespace)
    assert space is not None
    return space
