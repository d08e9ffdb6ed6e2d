"""Executor slots: how many handler calls run at once, in all and for types that have slots of their own."""

from collections.abc import Callable, Sequence

from riptide.streams.registry import CommandType

SHARED = ""


class Slots:
    """Counts free slots. A slot is taken before a read asks for entries, so that no more is read than can
    start."""

    def __init__(self, types: Sequence[CommandType], concurrency: int) -> None:
        self._pool = {kind.name: kind.name if kind.handler.slots else SHARED for kind in types}
        self._free = {SHARED: concurrency} | {
            kind.name: kind.handler.slots for kind in types if kind.handler.slots
        }
        self.on_room: Callable[[], None] = lambda: None

    def pool_of(self, kind: str) -> str:
        return self._pool[kind]

    def free(self, pool: str) -> int:
        return self._free[pool]

    def take(self, pool: str, wanted: int) -> int:
        """Take up to `wanted` slots; answers how many."""
        taken = min(wanted, self._free[pool])
        self._free[pool] -= taken
        return taken

    def give_back(self, pool: str, count: int = 1) -> None:
        if count:
            was_full = self._free[pool] <= 0
            self._free[pool] += count
            if was_full:
                self.on_room()
