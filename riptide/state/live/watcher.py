"""The thread of a worker that watches its configuration file, and offers each change of it to all.

A host offers only what changed in its own file since a change of that was last accepted; so hosts with
different files do not take turns. Of all processes of a host the first to offer a change has offered it.
"""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import watchfiles

from riptide.clock import Clock
from riptide.config import Settings, load
from riptide.config.document import Document, document_of
from riptide.config.live import Live
from riptide.config.loader import DEFAULT_PATH
from riptide.errors import ConfigError, RiptideError
from riptide.logger import get_logger
from riptide.state.live.file import Content, WatchedFile, stamp_of, unfinished
from riptide.state.live.offering import Offering, origin_of
from riptide.state.live.versions import Versions
from riptide.store.operation import Flow, ask
from riptide.store.sync import Store, open_store
from riptide.tenants.plans import load_plans

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
        self._check, self._clock = check, clock
        self.path = (live.path or DEFAULT_PATH).absolute()
        self._origin = origin_of(self.path, live.settings.distributed.node_id)
        self._stopped = threading.Event()
        self._file = WatchedFile(self.path, self._stopped.wait)
        self._store: Store | None = None
        #: What the file held when it was last good, the document of that, and what was seen of it last.
        self._good = live.data
        self._document = Document({}) if live.data is None else document_of(self.path, live.data)
        self._seen: bytes | None = live.data
        self._plans: bytes | None = None
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
        watched = set(self._places())
        if not watched:
            self._stopped.wait(_LOOK_AGAIN_MS / 1000)
            return
        for _ in watchfiles.watch(
            *watched,
            watch_filter=lambda _, path: Path(path).name in self._names(),
            debounce=_DEBOUNCE_MS,
            step=_STEP_MS,
            stop_event=self._stopped,
            rust_timeout=_LOOK_AGAIN_MS,
            yield_on_timeout=True,
            recursive=False,
            raise_interrupt=False,
        ):
            self._look()
            if self._stopped.is_set() or set(self._places()) != watched:
                return

    def _names(self) -> set[str]:
        """What is to be looked at in them. Kubernetes exchanges `..data`, to which mounted files point."""
        return {self.path.name, Path(self._live.settings.tenant.plans_file).name, "..data"}

    def _places(self) -> Iterable[Path]:
        """Directories, because a file that is renamed into place is another file; and what a name in one of
        them points to may change too."""
        named = [Path(text).absolute() for text in self._live.settings.state.config_watch_paths]
        for place in (self.path, *named):
            directory = place if place.is_dir() else place.parent
            if directory.is_dir():
                yield directory

    def _join(self) -> bool:
        """What changed while nobody watched is offered, too; what is new to the deployment is not."""
        if self._live.data is not None:
            known = self._run(ask(self._versions.join(self._origin, self._document)))
            if known != self._document.digest:
                self._offer(self._document, Content(self._live.data, stamp_of(self.path.stat())))
        return True

    def _look(self) -> None:
        self._look_at_plans()
        content = self._file.settled()
        if content is None or content.data == self._seen:
            return
        try:
            document = self._read(content.data)
        except ConfigError as error:
            self._refuse(str(error))
        else:
            if document.digest != self._document.digest:
                self._offer(document, content)
            self._good, self._document = content.data, document
        self._seen = content.data

    def _look_at_plans(self) -> None:
        """Every process has read them at its start: so they are only checked here."""
        try:
            data = Path(self._live.settings.tenant.plans_file).read_bytes()
        except OSError:
            return
        changed, self._plans = self._plans not in {None, data}, data
        if changed:
            try:
                load_plans(self._live.settings.tenant.plans_file)
                self._log.warning("the plans have changed: processes use them after a restart")
            except ConfigError as error:
                self._log.error(
                    "the plans have changed, and no process could start with them", error=str(error)
                )

    def _read(self, data: bytes) -> Document:
        if why := unfinished(data, self._good):
            raise ConfigError(f"{self.path}: {why}")
        self._check(load(self.path, data=data).settings)
        return document_of(self.path, data)

    def _offer(self, document: Document, content: Content) -> None:
        ref = self._run(self._offering.offer(document, self._origin, content.stamp))
        self._log.info("the configuration file has changed", path=str(self.path), ref=str(ref))

    def _refuse(self, why: str) -> None:
        self._log.error("the configuration file is not taken over; the old one stays", error=why)
        self._run(ask(self._versions.refuse(self._origin, why, self._clock.now_ms())))

    def _run(self, flow: Flow[T]) -> T:
        if self._store is None:
            self._store = open_store(self._live.settings)  # on a cluster it connects at once
        return self._store.drive(flow)
