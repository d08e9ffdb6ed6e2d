"""The configuration of a deployment as both faces offer it: its history, differences, and the way back."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from riptide.clock import Clock
from riptide.config import Settings, load
from riptide.config.document import Difference, Document, differences
from riptide.config.live import Live
from riptide.config.loader import DEFAULT_PATH
from riptide.errors import ConfigError, InvalidInput
from riptide.state.live.offering import Offering, origin_of
from riptide.state.live.services import Services
from riptide.state.live.sources import document_with_plans
from riptide.state.live.versions import History, Version, Versions
from riptide.store.operation import Flow, Operation, ask
from riptide.streams.members import Member
from riptide.streams.message import Ref
from riptide.streams.resting import Resting, who_asks

if TYPE_CHECKING:
    from riptide.state.live.watcher import Watcher


class Configuration:
    """Builds the flows. `check(settings)` raises ConfigError for what no worker could start with."""

    def __init__(
        self,
        live: Live,
        versions: Versions,
        services: Services,
        resting: Resting,
        offering: Offering,
        check: Callable[[Settings], None],
    ) -> None:
        self.live, self.versions = live, versions
        self._services, self._resting, self._offering, self._check = services, resting, offering, check

    def watcher(self, clock: Clock) -> "Watcher":
        """The thread that offers changes of this process's file. Its calls block, in that thread alone."""
        from riptide.state.live.watcher import Watcher

        offering = self._offering.blocking_by(lambda call: call())
        return Watcher(self.live, self.versions, offering, self._check, clock)

    def history(self) -> Operation[History]:
        return self.versions.history()

    def diff(self, before: int | None, after: int | None) -> Flow[list[Difference]]:
        """By default of the current version and the one before it. Raises InvalidInput."""
        newer = yield from self._version(after)
        older = yield from self._version(newer.number - 1 if before is None else before)
        return differences(older.document, newer.document)

    def apply_diff(self, path: str | Path | None) -> Flow[list[Difference]]:
        """What `apply` would change; a deployment without a version has everything from its own files."""
        document, _ = self._document(path)
        current = yield from ask(self.versions.current())
        return differences(Document({}) if current is None else current.document, document)

    def apply(self, path: str | Path | None) -> Flow[Ref]:
        """Offer a file as it is now. Raises ConfigError, BlobError, and what publishing raises."""
        document, origin = self._document(path)
        return (yield from self._offering.offer(document, origin))

    def rollback(self, number: int | None) -> Flow[Ref]:
        """Offer an earlier version again, by default the one before the current. Raises as `apply` and
        InvalidInput."""
        if number is None:
            number = (yield from self._version(None)).number - 1
        version = yield from self._version(number)
        origin = f"back to version {version.number}, by {who_asks()}"
        return (yield from self._offering.offer(version.document, origin))

    def members(self) -> Flow[list[Member]]:
        """Workers, then other processes that follow the configuration."""
        workers = yield from self._resting.members()
        services = yield from ask(self._services.listed())
        return workers + services

    def _version(self, number: int | None) -> Flow[Version]:
        if number is not None and (type(number) is not int or number < 1):
            raise InvalidInput(f"there is no version {number!r:.40} of the configuration")
        asked = self.versions.current() if number is None else self.versions.version(number)
        found = yield from ask(asked)
        if found is None:
            which = "no version of the configuration yet" if number is None else f"no version {number}"
            raise InvalidInput(f"there is {which}: 'riptide config history' lists those that are kept")
        return found

    def _document(self, path: str | Path | None) -> tuple[Document, str]:
        loaded = load(path)
        if loaded.path is None or loaded.data is None:
            raise ConfigError(f"there is no file {DEFAULT_PATH}: name one")
        self._check(loaded.settings)
        origin = origin_of(loaded.path, loaded.settings.distributed.node_id)
        return document_with_plans(loaded.path, loaded.data, loaded.settings), origin
