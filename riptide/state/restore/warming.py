"""Has the cache warmed after a restore: by what was read most before the loss."""

from collections.abc import Collection

from commands import Warm
from riptide.clock import SystemClock
from riptide.config import Settings
from riptide.names import DEFAULT_TENANT
from riptide.store.keys import Keys
from riptide.store.sync import Store
from riptide.streams.publishing import Outgoing, Publisher
from riptide.streams.registry import load_models


def have_warmed(settings: Settings, store: Store, checkpoint: str, tenants: Collection[str] | None) -> None:
    """Publish `warm` for everybody, or for some tenants. A restore that is run again does not ask again."""
    if not settings.cache.enable_warming:
        return
    several = settings.tenant.enabled
    if tenants is None:
        orders = [Outgoing(Warm(source="all", every_tenant=several), DEFAULT_TENANT if several else None)]
    else:
        orders = [Outgoing(Warm(source="all"), tenant) for tenant in sorted(tenants)]
    models = load_models(settings.workers.modules)
    only_tenant = None if several else DEFAULT_TENANT
    publisher = Publisher(
        Keys(settings.cache.key_prefix), settings.streams, models, SystemClock(), only_tenant
    )
    for order in orders:
        store.drive(publisher.publish(order, f"restored:{checkpoint}"))
