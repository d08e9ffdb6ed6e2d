"""What both faces are put together from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from riptide.clock import Clock, SystemClock
from riptide.config import RedisUrl, Settings, load
from riptide.config.redis_url import EXAMPLES, check_url
from riptide.errors import ConfigError
from riptide.names import DEFAULT_TENANT
from riptide.state.blobs import open_blobs
from riptide.state.sessions.sessions import Sessions
from riptide.store.keys import Keys
from riptide.streams.publishing import Publisher
from riptide.streams.registry import load_models
from riptide.streams.resting import Resting
from riptide.tenants.billing.billing import Billing
from riptide.tenants.facts import KnownTenants
from riptide.tenants.keyring.data_keys import DataKeys
from riptide.tenants.keyring.master import load_master_keys
from riptide.tenants.keyring.ring import Blocking, KeyRing
from riptide.tenants.quotas.quotas import Quotas
from riptide.tenants.registry.registry import Registry
from riptide.tenants.usage.flows import UsageFlows


@dataclass(frozen=True, slots=True)
class Parts:
    """`reporter` publishes what is done with the cache; None: nobody is told."""

    settings: Settings
    keys: Keys
    publisher: Publisher
    reporter: Publisher | None
    resting: Resting
    registry: Registry
    known: KnownTenants
    quotas: Quotas
    usage: UsageFlows
    billing: Billing
    ring: KeyRing
    data_keys: DataKeys
    sessions: Sessions


def _at_once(function: Callable[[], Any]) -> Any:
    return function()


def assemble(
    url: str | None,
    config: Settings | str | Path | None,
    clock: Clock | None = None,
    *,
    blocking: Blocking = _at_once,
) -> Parts:
    """Read the configuration (unless it is given) and build what needs no connection. `blocking` makes calls
    that block: at once, or in a thread. Raises ConfigError."""
    settings = (
        config if isinstance(config, Settings) else load(None if config is None else str(config)).settings
    )
    if url is not None:
        redis = settings.redis.model_copy(update={"url": _checked(url)})
        settings = settings.model_copy(update={"redis": redis})
    keys = Keys(settings.cache.key_prefix)
    models = load_models(settings.workers.modules)
    only_tenant = None if settings.tenant.enabled else DEFAULT_TENANT
    publisher = Publisher(
        keys,
        settings.streams,
        models,
        clock or SystemClock(),
        only_tenant,
        server_counts_delays=clock is None,
    )
    ring = KeyRing(keys, load_master_keys(settings.security), partial(open_blobs, settings.blobs), blocking)
    data_keys = DataKeys(keys, settings, ring, clock or SystemClock())
    registry = Registry(keys, settings, publisher, data_keys)
    known = KnownTenants(keys, settings.tenant, data_keys.require if data_keys.at_rest else None)
    quotas = Quotas(keys, settings, known, registry)
    usage = UsageFlows(keys, known, publisher, clock or SystemClock())
    billing = Billing(keys, settings, known, lambda: registry.plans)
    # Where a test moves the clock nothing happens by itself.
    reporter = publisher if settings.performance.enable_monitoring and clock is None else None
    resting = Resting(keys, models)
    sessions = Sessions(keys, settings, known, ring, partial(open_blobs, settings.blobs), blocking)
    return Parts(
        settings,
        keys,
        publisher,
        reporter,
        resting,
        registry,
        known,
        quotas,
        usage,
        billing,
        ring,
        data_keys,
        sessions,
    )


def _checked(url: object) -> RedisUrl:
    why = "it is not text"
    if isinstance(url, str):
        try:
            check_url(url)
            return RedisUrl(url)
        except ValueError as error:
            why = str(error)
    raise ConfigError(f"the url given to connect (not shown) is not valid: {why}; write {EXAMPLES}")
