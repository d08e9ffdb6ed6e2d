"""Threads of every worker of which one in the whole deployment is at work at a time.

Whatever they do must be right if two do it: one that was stopped for long does not know yet that another goes
on.
"""

import threading
import time
from abc import abstractmethod
from contextlib import suppress

from riptide.config import Settings
from riptide.errors import RiptideError
from riptide.logger import get_logger
from riptide.store.keys import Keys
from riptide.store.operation import Operation
from riptide.store.script import Script
from riptide.store.sync import Store, open_store
from riptide.streams.passes import keep_passing

_KEEPER = Script.load("riptide.tenants.accounts", "keeper.lua")

#: A look at very many may take a fifth of one server's time at most.
REST = 4
_LEASE_MS, _TICK_SECONDS = 12_000, 5.0


def lease(key: str, who: str, lasts_ms: int) -> Operation[bool]:
    """Take or prolong a lease, or with 0 ms give it up; False if it is another's. Also on a server that is
    full."""
    return _KEEPER.call([key], [who, lasts_ms], bool)


class Keeping(threading.Thread):
    """Looks after `what` until `stop()`. `who` tells it from those of other processes."""

    def __init__(self, settings: Settings, what: str, who: str, logger: str) -> None:
        super().__init__(name=what, daemon=True)
        self._settings, self._what, self._who = settings, what, who
        self._keys = Keys(settings.cache.key_prefix)
        self._store: Store | None = None
        self._look_at = 0.0
        self._stopped = threading.Event()
        self._log = get_logger(logger)

    def run(self) -> None:
        keep_passing(self._pass, self._stopped, self._log, f"cannot keep {self._what}")
        self._give_back()

    def stop(self) -> None:
        """End after what is being done; another goes on."""
        self._stopped.set()

    @abstractmethod
    def _look(self, store: Store) -> float:
        """Do what is due; answers seconds to the next look, which comes later if this one took long."""

    def _lost(self) -> None:
        """Another one is at work."""

    def _is_mine(self) -> bool:
        """Take or prolong the lease."""
        assert self._store is not None
        return self._store.run(self._lease(_LEASE_MS))

    def _lease(self, lasts_ms: int) -> Operation[bool]:
        return lease(self._keys.control(f"{self._what}:keeper"), self._who, lasts_ms)

    def _pass(self) -> float:
        """Keep the lease, and look if it is time to; answers seconds to the next pass."""
        if self._store is None:
            self._store = open_store(self._settings)
        if not self._is_mine():
            self._lost()
            return _TICK_SECONDS
        started = time.monotonic()
        if started >= self._look_at:
            pause = self._look(self._store)
            self._look_at = started + max(pause, (1 + REST) * (time.monotonic() - started))
        return min(_TICK_SECONDS, max(0.0, self._look_at - time.monotonic()))

    def _give_back(self) -> None:
        if self._store is not None:
            with suppress(RiptideError):
                self._store.run(self._lease(0))
            self._store.close()
