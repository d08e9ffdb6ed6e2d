"""The thread of a worker that watches its configuration file and its plans, and offers each change to all.

A host offers only what changed in its own file since a change of that was last accepted; so hosts with
different files do not take turns. Of all processes of a host the first to offer a change has offered it.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import watchfiles

from riptide.clock import Clock
from riptide.config import Settings
from riptide.config.document import Document
from riptide.config.live import Live
from riptide.config.loader import DEFAULT_PATH
from riptide.errors import ConfigError, RiptideError
from riptide.logger import get_logger
from riptide.state.live.offering import Offering, origin_of
from riptide.state.live.sources import Found, Sources
from riptide.state.live.versions import Versions
from riptide.store.operation import Flow, ask
from riptide.store.sync import Store, open_store

T = TypeVar("T")

_STEP_MS, _DEBOUNCE_MS = 50, 400
# Where nothing tells of changes, as on some network file systems, it is looked at so often.
_LOOK_AGAIN_MS = 5000
_LONGEST_BACKOFF = 10.0


class Watcher(threading.Thread):
    """Watches until `stop()`. `check(settings)` raises ConfigError for what no worker could start with."""

    def __init__(
        self,
        live: Live,
        versions: Versions,
        offering: Offering,
        check: Callable[[Settings], None],
        clock: Clock,
    ) -> None:
        super().__init__(name="config", daemon=True)
        self._live, self._versions, self._offering = live, versions, offering
        self._clock = clock
        self._stopped = threading.Event()
        path = (live.path or DEFAULT_PATH).absolute()
        plans_file = live.settings.tenant.plans_file
        self._sources = Sources(path, live.data, plans_file, self._stopped.wait, check)
        self._origin = origin_of(path, live.settings.distributed.node_id)
        self._store: Store | None = None
        #: What the deployment has been offered, or has had from the beginning.
        self._document = self._sources.document
        self._complaint, self._overtaken = "", False
        self._log = get_logger("riptide.config")

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        failures, joined = 0, False
        while not self._stopped.is_set():
            try:
                joined = joined or self._join()
                self._look()
                failures = 0
                self._watch()
            except Exception as error:  # noqa: BLE001 - without this thread no change would be seen any more
                failures += 1
                expected = isinstance(error, RiptideError | OSError)
                self._log.warning(
                    "cannot watch the configuration", error=str(error), exc_info=None if expected else error
                )
                self._stopped.wait(min(_LONGEST_BACKOFF, 0.25 * 2 ** min(failures, 10)))
        if self._store is not None:
            self._store.close()

    def _watch(self) -> None:
        """Look whenever something changes. Returns at the end, and when what is watched has come or gone."""
        watched = self._places()
        if not watched:
            self._stopped.wait(_LOOK_AGAIN_MS / 1000)
            return
        for _ in watchfiles.watch(
            *watched,
            watch_filter=lambda _, path: Path(path).name in self._sources.names(),
            debounce=_DEBOUNCE_MS,
            step=_STEP_MS,
            stop_event=self._stopped,
            rust_timeout=_LOOK_AGAIN_MS,
            yield_on_timeout=True,
            recursive=False,
            raise_interrupt=False,
        ):
            self._look()
            if self._stopped.is_set() or self._places() != watched:
                return

    def _places(self) -> dict[Path, Path]:
        """Directories, and where they are: a link may come to lead elsewhere."""
        named = [Path(text).absolute() for text in self._live.settings.state.config_watch_paths]
        others = (place if place.is_dir() else place.parent for place in named)
        return {place: place.resolve() for place in (*self._sources.places(), *others) if place.is_dir()}

    def _join(self) -> bool:
        """What changed while nobody watched is offered, too; what is new to the deployment is not."""
        if self._document != Document({}):
            known = self._run(ask(self._versions.join(self._origin, self._document)))
            if known != self._document.digest:
                self._offer(Found(self._document, self._sources.stamp()))
        return True

    def _look(self) -> None:
        try:
            found = self._sources.look()
        except ConfigError as error:
            if str(error) != self._complaint:
                self._refuse(str(error))
                self._complaint = str(error)
            return
        if found is not None and found.document.digest != self._document.digest:
            self._offer(found)
            self._document = found.document
        self._complain(" and ".join(self._sources.gone()))

    def _complain(self, gone: str) -> None:
        if gone and gone != self._complaint:
            self._log.warning("a configuration file is gone; the configuration stays", path=gone)
        self._complaint = gone

    def _offer(self, found: Found) -> None:
        once = None if self._overtaken else found.stamp
        ref = self._run(self._offering.offer(found.document, self._origin, once))
        # What was written meanwhile another process may have offered before this: it has to be said again.
        self._overtaken = self._sources.stamp() != found.stamp
        self._log.info("the configuration file has changed", path=str(self._sources.path), ref=str(ref))

    def _refuse(self, why: str) -> None:
        self._log.error("the configuration file is not taken over; the old one stays", error=why)
        self._run(ask(self._versions.refuse(self._origin, why, self._clock.now_ms())))

    def _run(self, flow: Flow[T]) -> T:
        if self._store is None:
            self._store = open_store(self._live.settings)
        return self._store.drive(flow)
