"""What streams must keep for the newest checkpoint, where no archive does."""

from riptide.config import Settings
from riptide.state.checkpoints.manifest import Manifest
from riptide.state.checkpoints.sums import USAGE
from riptide.store.keys import PARTITIONS, Keys
from riptide.store.operation import Operation
from riptide.store.sync import Store


def keep_streams(settings: Settings, store: Store, newest: Manifest) -> None:
    """Commands that came after the checkpoint are needed to restore from it: they are archived, or not
    trimmed."""
    keys = Keys(settings.cache.key_prefix)
    archived = settings.streams.archive and USAGE in settings.streams.archive_types
    store.run_all([_floor(keys, p, None if archived else newest.positions[p]) for p in PARTITIONS])


def _floor(keys: Keys, partition: str, position: str | None) -> Operation[int]:
    if position is None:
        return Operation(("HDEL", keys.floor(partition), USAGE), int)
    return Operation(("HSET", keys.floor(partition), USAGE, position), int)
