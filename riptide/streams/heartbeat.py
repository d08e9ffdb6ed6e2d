"""The heartbeat of a worker: a thread, so that a handler that blocks the event loop is not taken for a
dead worker."""

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable

from riptide.logger import get_logger
from riptide.store.operation import Operation
from riptide.store.sync import Store
from riptide.streams.members import Beat

_GRACE_SECONDS = 5.0
STUCK = 75  # EX_TEMPFAIL
_SHORTEST_SECONDS = 0.02


class Heartbeat(threading.Thread):
    """Beats every `interval` seconds, and at the moment when another member would be overdue.

    It goes on while the event loop ticks, or is held by a handler that is still within its timeout. A loop
    that is held longer cannot be saved from inside: the process starts itself anew in place, and what it held
    is taken over. `heard` gets each answer and when its heartbeat was sent (time.monotonic()).
    """

    def __init__(
        self,
        store: Store,
        beat: Callable[[], Operation[Beat]],
        heard: Callable[[Beat, float], None],
        held_until: Callable[[], float],
        interval: float,
    ):
        super().__init__(name="heartbeat", daemon=True)
        self._store = store
        self._beat = beat
        self._heard = heard
        self._held_until = held_until
        self._interval = interval
        self._stopped = threading.Event()
        self._wake = threading.Event()
        #: The event loop's last sign of life (time.monotonic()).
        self.ticked = time.monotonic()
        #: A signal has asked the process to stop: one that is stuck then ends, and does not start anew.
        self.asked_to_stop = False

    def run(self) -> None:
        stuck_at = -1.0
        while not self._stopped.is_set():
            if self._is_stuck():
                # Twice without a tick between: after a pause of the whole process the loop comes late once.
                if stuck_at == self.ticked:
                    start_anew(asked_to_stop=self.asked_to_stop)
                stuck_at = self.ticked
            self._wake.wait(self._once())
            self._wake.clear()

    def _is_stuck(self) -> bool:
        return time.monotonic() > max(self.ticked + self._interval, self._held_until()) + _GRACE_SECONDS

    def _once(self) -> float:
        """Beat; answers how long to wait for the next."""
        sent = time.monotonic()
        try:
            beat = self._store.run(self._beat())
        except Exception as error:  # noqa: BLE001 - without this thread the worker would be dead to all others
            get_logger("riptide.heartbeat").warning("heartbeat failed", error=str(error))
            return self._interval
        if not self._stopped.is_set():
            self._heard(beat, sent)
        return min(self._interval, max(_SHORTEST_SECONDS, beat.overdue_in + 0.005))

    def now(self) -> None:
        """Beat at once."""
        self._wake.set()

    def stop(self) -> None:
        self._stopped.set()
        self._wake.set()


def start_anew(*, asked_to_stop: bool) -> None:
    """Replace this process by a new run of the same command, after writing where every thread stood; end it
    if it was asked to stop."""
    get_logger("riptide.heartbeat").critical("a handler holds the event loop past its timeout; starting anew")
    faulthandler.dump_traceback(sys.stderr.fileno(), all_threads=True)
    sys.stdout.flush()
    sys.stderr.flush()
    if asked_to_stop:
        os._exit(STUCK)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
