"""Write-behind: writes that wait in this process to be sent together. Bounded by number and by bytes."""

import threading
from asyncio import CancelledError
from collections.abc import Callable, Collection

from riptide.cache.core import Core
from riptide.cache.sending import TENANT_ERRORS, Write, write_all
from riptide.cache.space import Space
from riptide.config import CacheSettings
from riptide.forking import in_children
from riptide.store.operation import Flow

_MOST_BYTES = 64 * 1024**2

Address = tuple[str, str]


class WriteBuffer:
    """The latest write of each key. Safe to share between threads."""

    def __init__(self, settings: CacheSettings) -> None:
        self._settings = settings
        self._drop()
        in_children(self, WriteBuffer._drop)

    def _drop(self) -> None:
        """Hold nothing: what a forked child inherits is its parent's to send."""
        self._lock = threading.Lock()
        self._writes: dict[Address, Write] = {}
        self._bytes = self._under_way = 0

    @property
    def busy(self) -> bool:
        """Whether writes wait or are on their way: what else concerns their keys must come after them."""
        return bool(self._writes) or self._under_way > 0

    def __len__(self) -> int:
        """How many wait, or are on their way."""
        with self._lock:
            return len(self._writes) + self._under_way

    def add(self, item: Write) -> bool:
        """Take a write in, in place of an earlier one of its key; False if it is full."""
        address, most = (item.shard.prefix, item.digest), self._settings.write_behind_max_entries
        with self._lock:
            old = self._writes.get(address)
            grown = self._bytes + len(item.plain) - (len(old.plain) if old else 0)
            if self._writes and (grown > _MOST_BYTES or (old is None and len(self._writes) >= most)):
                return False
            self._writes[address] = item
            self._bytes = grown
            return True

    def take(self) -> list[Write]:
        """All that waits; the buffer has room after, and is busy until `sent`."""
        with self._lock:
            taken = list(self._writes.values())
            self._under_way = len(taken)
            self._writes.clear()
            self._bytes = 0
            return taken

    def sent(self) -> None:
        """What was taken is in place, or has been put back."""
        self._under_way = 0

    def put_back(self, items: list[Write]) -> None:
        """Return what could not be sent, unless a later write of the same key has come."""
        with self._lock:
            for item in items:
                if self._writes.setdefault((item.shard.prefix, item.digest), item) is item:
                    self._bytes += len(item.plain)
            self._under_way = 0

    def discard(
        self,
        space: Space,
        *,
        digests: Collection[Address] = (),
        tag_ids: Collection[bytes] = (),
        whole: bool = False,
    ) -> None:
        """Forget waiting writes of a namespace that an invalidation concerns: they came before it."""
        prefixes = {shard.prefix for shard in space.shards}
        wanted = set(tag_ids)
        self._discard(
            lambda address, item: (
                address in digests
                or (address[0] in prefixes and (whole or not wanted.isdisjoint(item.tag_ids)))
            )
        )

    def discard_tenant(self, space: Space) -> None:
        """Forget all waiting writes of a tenant."""
        slots = {shard.namespaces for shard in space.shards}
        self._discard(lambda _, item: item.shard.namespaces in slots)

    def _discard(self, concerned: Callable[[Address, Write], bool]) -> None:
        if not self._writes:
            return
        with self._lock:
            for address, item in list(self._writes.items()):
                if concerned(address, item):
                    del self._writes[address]
                    self._bytes -= len(item.plain)


def flush(core: Core, buffer: WriteBuffer) -> Flow[None]:
    """Send what waits; what cannot be sent waits on. What a tenant may not write is dropped, and the first
    such error raised."""
    items = buffer.take()
    try:
        yield from write_all(core, items)
    except TENANT_ERRORS:
        raise
    except (Exception, CancelledError):
        buffer.put_back(items)
        raise
    finally:
        buffer.sent()
