"""What the deployment says of quotas: default limits, where a tenant's own count, what an outage means."""

from collections.abc import Iterable, Mapping

from riptide.config import Settings
from riptide.tenants.quotas.amounts import CACHED, RATES
from riptide.tenants.resources import RESOURCES, UNLIMITED


class Limits:
    """Pure. `defaults` are by resource, -1: unlimited."""

    def __init__(self, settings: Settings) -> None:
        tenant, self._limit_rates = settings.tenant, settings.security.enable_rate_limiting
        self._own_caches = tenant.enabled and tenant.isolation_level == "strong"
        self._policy: Mapping[str, str] = {str(name): policy for name, policy in tenant.outage_policy.items()}
        self.defaults = dict.fromkeys(RESOURCES, UNLIMITED) | {
            "memory_bytes": tenant.default_memory_quota,
            "storage_bytes": tenant.default_storage_quota,
            "operations_per_minute": tenant.default_ops_quota,
            "active_sessions": tenant.default_session_quota,
        }
        if not self._own_caches:
            # What the cache's own scripts hold tenants to then.
            shared = not tenant.enabled or tenant.isolation_level == "none"
            self.defaults["memory_bytes"] = settings.cache.max_memory_bytes if shared else UNLIMITED

    def counts(self, resource: str) -> bool:
        """Whether it is limited at all: with security.enable_rate_limiting off, rates are not."""
        return self._limit_rates or resource not in RATES

    def by_record(self, resource: str) -> bool:
        """Whether a limit in the tenant's record holds over the default."""
        return self._own_caches or resource not in CACHED

    def closed(self, resources: Iterable[str]) -> tuple[str, ...]:
        """Those of which nothing may be used while the server cannot be reached."""
        return tuple(resource for resource in resources if self._closed(resource))

    def _closed(self, resource: str) -> bool:
        policy = self._policy.get(resource) or ("open" if resource in RATES else "closed")
        return self.counts(resource) and policy == "closed"
