"""The thread by which a process that is no worker follows the deployment's configuration."""

import contextlib
import threading
from collections.abc import Callable

from riptide.errors import RiptideError
from riptide.forking import forget, in_children
from riptide.logger import get_logger
from riptide.state.live.services import Presence
from riptide.store.sync import Store

_CLOSE_SECONDS = 2.0


class Follower:
    """A forked child begins anew, under a name of its own."""

    def __init__(self, store: Store, presence: Presence, forked: Callable[[], None]) -> None:
        self._store, self._presence, self._forked = store, presence, forked
        self._stopped = threading.Event()
        self._heard = False
        self._log = get_logger("riptide.config")

    def start(self) -> None:
        in_children(self, Follower.begin_anew)
        self._thread = threading.Thread(target=self._run, name="riptide-config", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End; take this process off the list, if the server was there a moment ago."""
        forget(self)
        self._stopped.set()
        self._thread.join(_CLOSE_SECONDS)
        if self._heard:
            with contextlib.suppress(RiptideError):
                self._store.run(self._presence.leave())

    def begin_anew(self) -> None:
        """In a forked child, which has no thread but its own."""
        self._stopped = threading.Event()
        self._heard = False
        self._forked()
        self._presence.begin()
        self.start()

    def _run(self) -> None:
        stopped, complained = self._stopped, False
        while not stopped.is_set():
            try:
                self._store.drive(self._presence.step())
                self._heard, complained = True, False
            except Exception as error:  # noqa: BLE001 - without this thread no change would be heard of any more
                self._heard = False
                if not complained and not stopped.is_set():
                    complained = True
                    trace = None if isinstance(error, RiptideError) else error
                    self._log.warning("cannot follow the configuration yet", error=str(error), exc_info=trace)
            stopped.wait(self._presence.seconds)
