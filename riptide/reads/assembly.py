"""What both faces are put together from."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from riptide.cache.spill.spill import Spill, make_spill
from riptide.clock import Clock, SystemClock
from riptide.config import Loaded, RedisUrl, Settings, load
from riptide.config.live import Live
from riptide.config.redis_url import EXAMPLES, check_url
from riptide.errors import ConfigError
from riptide.names import DEFAULT_TENANT
from riptide.reads.checking import check_usable
from riptide.state.blobs import open_blobs
from riptide.state.live.configuration import Configuration
from riptide.state.live.following import Following
from riptide.state.live.offering import Offering
from riptide.state.live.services import Presence, Services
from riptide.state.live.versions import Versions
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
    spill: Spill
    live: Live
    configuration: Configuration
    following: Following
    presence: Presence
    #: The types of commands that are known here.
    kinds: tuple[str, ...]


def _at_once(function: Callable[[], Any]) -> Any:
    return function()


def assemble(
    url: str | None,
    config: Settings | Loaded | str | Path | None,
    clock: Clock | None = None,
    *,
    blocking: Blocking = _at_once,
    role: str = "service",
) -> Parts:
    """Read the configuration (unless it is given) and build what needs no connection. `blocking` makes calls
    that block: at once, or in a thread. The process is listed by its `role`. Raises ConfigError."""
    live = Live(_given(config, url))
    settings = live.settings
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
    usage = UsageFlows(keys, known, publisher, clock or SystemClock(), settings.api)
    billing = Billing(keys, settings, known, lambda: registry.plans)
    # Where a test moves the clock nothing happens by itself.
    told = settings.performance.enable_monitoring and settings.enable_persistence
    reporter = publisher if told and clock is None else None
    sessions = Sessions(keys, settings, known, ring, partial(open_blobs, settings.blobs), blocking)
    live.on_change(("cache", "security", "tenant"), lambda _: quotas.renew())
    live.on_change(("tenant",), lambda _: sessions.renew())
    resting, services = Resting(keys, models), Services(keys)
    following = Following(live, Versions(keys), os.environ, registry.renew_plans)
    offering = Offering(settings.cache.key_prefix, publisher, partial(open_blobs, settings.blobs), blocking)
    check = partial(check_usable, models)
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
        make_spill(keys, settings, partial(open_blobs, settings.blobs), blocking),
        live,
        Configuration(live, Versions(keys), services, resting, offering, check),
        following,
        Presence(live, services, following, (clock or SystemClock()).now_ms, role),
        tuple(sorted(models)),
    )


def _given(config: Settings | Loaded | str | Path | None, url: str | None) -> Settings | Loaded:
    given = config if isinstance(config, Settings | Loaded) else load(config)
    if url is None:
        return given
    settings = given.settings if isinstance(given, Loaded) else given
    redis = settings.redis.model_copy(update={"url": _checked(url)})
    settings = settings.model_copy(update={"redis": redis})
    return replace(given, settings=settings) if isinstance(given, Loaded) else settings


def _checked(url: object) -> RedisUrl:
    why = "it is not text"
    if isinstance(url, str):
        try:
            check_url(url)
            return RedisUrl(url)
        except ValueError as error:
            why = str(error)
    raise ConfigError(f"the url given to connect (not shown) is not valid: {why}; write {EXAMPLES}")
