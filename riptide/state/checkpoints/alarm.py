"""Emergency checkpoints: written by workers when a server is about to be in trouble, once an hour at most."""

import threading

from riptide.config import Settings
from riptide.errors import RiptideError
from riptide.logger import get_logger
from riptide.metrics.instruments import PRESSURE
from riptide.state.checkpoints.names import id_of_command
from riptide.state.checkpoints.shelf import Shelf
from riptide.store.keys import PARTITIONS, Keys
from riptide.store.operation import Operation
from riptide.store.script import Script
from riptide.store.sync import open_store

_HEALTH = Script.load("riptide.state", "server_health.lua")
_SECONDS = 10.0
_HOUR_MS = 3_600_000
#: A server whose memory is used to that share refuses writes soon.
MEMORY_PERCENT = 95


class Alarm(threading.Thread):
    """Looks at the servers from time to time until `stop()`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="alarm", daemon=True)
        self._settings, self._shelf = settings, Shelf(settings)
        self._stopped = threading.Event()
        self._written = ""
        self._log = get_logger("riptide.checkpoints")

    def run(self) -> None:
        while not self._stopped.wait(_SECONDS):
            try:
                self.look()
            except RiptideError as error:
                self._log.warning("cannot look after the servers", error=str(error))

    def stop(self) -> None:
        self._stopped.set()

    def look(self) -> str | None:
        """Write a checkpoint if it is time for one; answers why. Raises RiptideError."""
        keys = Keys(self._settings.cache.key_prefix)
        store = open_store(self._settings)
        try:
            found = store.run_all([_health(keys.positions(p)) for p in PARTITIONS])
        finally:
            store.close()
        if any(is_near(used, most) for used, most, *_ in found):
            PRESSURE.add("server")
        why = next((why for used, most, writes, _ in found if (why := _trouble(used, most, writes))), None)
        if why is not None:
            now_ms = found[0][3]
            hour_ms = now_ms - now_ms % _HOUR_MS
            # Other workers see it, too: in the same hour it is the same checkpoint.
            checkpoint = id_of_command(f"emergency {hour_ms}", hour_ms)
            if checkpoint == self._written:
                return why
            self._log.error("emergency checkpoint", why=why, checkpoint=checkpoint)
            self._shelf.create("emergency", why, id=checkpoint, stopped=self._stopped.is_set)
            self._written = checkpoint
        return why


def _trouble(used: int, most: int, writes: int) -> str | None:
    if not writes:
        return "the server cannot write its data to disk"
    if is_near(used, most):
        return f"the server uses {used * 100 // most} % of its memory"
    return None


def is_near(used: int, most: int) -> bool:
    """Whether a server that may use `most` bytes (0: all there are) is about to refuse writes."""
    return bool(most) and used * 100 >= most * MEMORY_PERCENT


def _health(key: str) -> Operation[list[int]]:
    """Partitions lie on all servers of a cluster."""
    return _HEALTH.call([key], [], list)
