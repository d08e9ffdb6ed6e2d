"""Who spills where sessions take too much, and removes blobs that nobody needs: a thread of every worker."""

from riptide.config import Settings
from riptide.state.spill.spilling import Spilling
from riptide.store.sync import Store
from riptide.tenants.accounts.keeping import Keeping

_SHORTEST, _LONGEST = 1.0, 10.0


class SessionKeeper(Keeping):
    """Looks until `stop()`. `name` tells it from those of other processes."""

    def __init__(self, settings: Settings, name: str) -> None:
        super().__init__(settings, "sessions", name, "riptide.state")
        self._spilling = Spilling(self._keys, settings, lambda function: function())
        self._pause = _SHORTEST

    def _look(self, store: Store) -> float:
        done = store.drive(self._spilling.spill(None, None, lambda *_: None, self._stopped.is_set))
        if done.nothing:
            self._pause = min(_LONGEST, 2 * self._pause)
        else:
            self._pause = _SHORTEST
            self._log.info(
                "spilled", sessions=done.sessions, bytes=done.bytes, blobs=done.blobs, full=done.full
            )
        return self._pause
