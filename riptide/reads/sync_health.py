"""`rt.health()`, synchronous: a thread looks, so that a server that swallows everything keeps nobody."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from riptide.reads.assembly import Parts
from riptide.reads.health import FRESH_SECONDS, PATIENCE_SECONDS, Component, Health, Looking
from riptide.store.sync import Store


class HealthFace:
    """One look at a time, for all threads that ask."""

    def __init__(self, store: Store, parts: Parts, writes: Callable[[], int]) -> None:
        """`writes` answers how many are buffered."""
        self._store, self._looking = store, Looking(parts, store.guard, writes)
        self._reset()

    def _reset(self) -> None:
        self._process, self._lock = os.getpid(), threading.Lock()
        self._known: tuple[float, Health] | None = None
        self._under_way: Future[Health] | None = None

    def watch(self, name: str, tell: Callable[[], Component]) -> None:
        """Let `tell` answer for a further component."""
        self._looking.told[name] = tell

    def look(self) -> Health:
        if self._process != os.getpid():
            self._reset()
        with self._lock:
            if self._known is not None and time.monotonic() - self._known[0] < FRESH_SECONDS:
                return self._known[1]
            if self._under_way is None:
                self._under_way = Future()
                threading.Thread(
                    target=self._ask, args=(self._under_way,), name="riptide-health", daemon=True
                ).start()
            under_way = self._under_way
        try:
            return under_way.result(PATIENCE_SECONDS)
        except TimeoutError:
            return self._looking.unanswered()

    def _ask(self, answer: "Future[Health]") -> None:
        found = self._store.drive(self._looking.look())
        with self._lock:
            self._known, self._under_way = (time.monotonic(), found), None
        answer.set_result(found)
