"""Shutdown checkpoints: written by the worker that leaves last."""

import threading
import time

from riptide.config import Settings
from riptide.errors import RiptideError, Stopped
from riptide.logger import get_logger
from riptide.state.checkpoints.shelf import Shelf
from riptide.store.keys import Keys
from riptide.store.sync import Store, open_store
from riptide.streams.members import Members
from riptide.tenants.accounts.keeping import lease

#: Of two that leave in the same moment one writes.
_TOGETHER_MS = 10_000


class Parting(threading.Thread):
    """Writes one within `seconds`, unless other workers go on. `process` is who leaves, and has left the list
    of members by now. What does not fit is given up: nothing of it is listed."""

    def __init__(self, settings: Settings, process: str, seconds: float) -> None:
        super().__init__(name="parting", daemon=True)
        self._settings, self._process = settings, process
        self._seconds, self._ends_at = seconds, time.monotonic() + seconds
        self._log = get_logger("riptide.checkpoints")

    def wait(self) -> None:
        """Until it is written, or the time is up; then whatever hangs is left behind."""
        if self._seconds > 0:
            self.start()
            self.join(self._seconds)
            if self.is_alive():
                self._give_up()

    def run(self) -> None:
        try:
            if self._is_last():
                shelf = Shelf(self._settings)
                shelf.create("shutdown", f"by {self._process}", stopped=self._is_over)
        except Stopped:
            self._give_up()
        except RiptideError as error:
            self._log.warning("no shutdown checkpoint", why=str(error))

    def _is_last(self) -> bool:
        keys = Keys(self._settings.cache.key_prefix)
        store = open_store(self._settings)
        try:
            return not self._others(store, keys) and store.run(
                lease(keys.control("checkpoint:parting"), self._process, _TOGETHER_MS)
            )
        finally:
            store.close()

    def _others(self, store: Store, keys: Keys) -> bool:
        members = store.run(Members(keys).census()).members
        dead_after = self._settings.workers.lease_seconds
        return any(one.process != self._process and one.silent_seconds < dead_after for one in members)

    def _is_over(self) -> bool:
        return time.monotonic() >= self._ends_at

    def _give_up(self) -> None:
        self._log.warning(
            "no shutdown checkpoint", why="there was not enough time for it", seconds=self._seconds
        )
