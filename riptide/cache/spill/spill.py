"""What a process moves entries to the blob store and back with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from riptide.cache.spill.moving import Moving
from riptide.cache.spill.returning import Returning
from riptide.config import Settings
from riptide.store.keys import Keys
from riptide.tenants.accounts.blobs import SpillBlobs
from riptide.tenants.keyring.ring import Blocking


@dataclass(frozen=True, slots=True)
class Spill:
    moving: Moving
    returning: Returning


def make_spill(
    keys: Keys, settings: Settings, open_blobs: Callable[[], SpillBlobs], blocking: Blocking
) -> Spill:
    """The blob store is opened by what first needs it; `blocking` calls what blocks."""
    blobs = cache(open_blobs)
    return Spill(Moving(keys, settings, blobs, blocking), Returning(keys, blobs, blocking))
