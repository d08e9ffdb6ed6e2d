"""Who carries out what: one file per command, with the same name as in `commands/`."""

from riptide.streams.registry import Handler
from workers import (
    checkpoint,
    close_period,
    invalidate,
    notify,
    purge_tenant,
    record_access,
    record_usage,
    reload,
    restore,
    spill,
    warm,
)

#: Every command's handler by its type. A user's package adds its own through `workers.modules`.
HANDLERS: dict[str, Handler] = {
    "warm": Handler(warm.handle),
    # Slots of its own: an invalidation never waits behind loads.
    "invalidate": Handler(invalidate.handle, batch_size=50, slots=4),
    # These are merged in one script: the larger the batch, the less each costs. They may wait for the server,
    # and nobody else should then.
    "record_usage": Handler(record_usage.handle, batch_size=1000, slots=4, fair=False),
    "record_access": Handler(record_access.handle, batch_size=500, slots=2, fair=False),
    # They take long, and wait for the blob store.
    "checkpoint": Handler(checkpoint.handle, slots=1),
    "restore": Handler(restore.handle, slots=1),
    # It may be what a jam is to be mended by.
    "reload": Handler(reload.handle, slots=1),
    "purge_tenant": Handler(purge_tenant.handle),
    "spill": Handler(spill.handle),
    "close_period": Handler(close_period.handle),
    # It waits for somebody else's server.
    "notify": Handler(notify.handle, slots=2),
}
