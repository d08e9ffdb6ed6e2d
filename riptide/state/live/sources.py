"""The files of a host that make a configuration: its own, and the plans that this names."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from riptide.config import Settings, load
from riptide.config.document import Document, document_of
from riptide.errors import ConfigError
from riptide.state.live.file import WatchedFile, links_to, stamp_of, unfinished
from riptide.tenants.plans import is_missing, written_plans


@dataclass(frozen=True, slots=True)
class Found:
    """What the files say; `stamp` tells one writing of them from the others."""

    document: Document
    stamp: str


class Sources:
    """`data` is what was in the file at `path` when this process began, None if there was none.

    `pause(seconds)` waits, and answers True when the watching is to end; `check(settings)` raises ConfigError
    for what no worker could start with."""

    def __init__(
        self,
        path: Path,
        data: bytes | None,
        plans_file: str,
        pause: Callable[[float], bool],
        check: Callable[[Settings], None],
    ) -> None:
        self.path, self.plans_path = path, Path(plans_file).absolute()
        self._pause, self._check = pause, check
        # What they held when they were last good.
        self._data, self._plans = data, _held(self.plans_path)
        self.document = self._first()

    def _first(self) -> Document:
        """Of what this process began with. Wrong plans are left out: the first look tells of them."""
        try:
            return self._document(self._data, self._plans, self.plans_path)
        except ConfigError:
            self._plans = None
            return self._document(self._data, None, self.plans_path)

    def _document(self, data: bytes | None, plans: bytes | None, plans_path: Path) -> Document:
        written = None if plans is None else written_plans(plans_path, plans)
        return Document({}, written) if data is None else document_of(self.path, data, written)

    def look(self) -> Found | None:
        """What they say as soon as nobody writes them; a file that is gone says what it said. None if the
        watching ends.

        Raises ConfigError, with all that is wrong, if it cannot be used.
        """
        data = self._settled(self.path, self._data)
        if data is not None and data != self._data:
            self._check(load(self.path, data=data).settings)
        plans_path = self._plans_path(data)
        plans = self._settled(plans_path, self._plans)
        if self._pause(0):
            return None
        if (data, plans, plans_path) != (self._data, self._plans, self.plans_path):
            self.document = self._document(data, plans, plans_path)
            self._data, self._plans, self.plans_path = data, plans, plans_path
        return Found(self.document, self.stamp())

    def _plans_path(self, data: bytes | None) -> Path:
        """Where the plans are; a file that another configuration names has to be there."""
        if data is None or data == self._data:
            return self.plans_path
        named = load(self.path, data=data).settings.tenant.plans_file
        path = Path(named).absolute()
        if path != self.plans_path and not is_missing(named) and not path.is_file():
            raise ConfigError(f"tenant.plans_file: there is no file {named}")
        return path

    def _settled(self, path: Path, before: bytes | None) -> bytes | None:
        try:
            content = WatchedFile(path, self._pause).settled()
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        if content is None:
            return before
        if content.data != before and (why := unfinished(content.data, before)):
            raise ConfigError(f"{path}: {why}")
        return content.data

    def stamp(self) -> str:
        return f"{stamp_of(self.path)} {stamp_of(self.plans_path)}"

    def gone(self) -> list[str]:
        """Files that were there, and are no more."""
        held = ((self.path, self._data), (self.plans_path, self._plans))
        return [str(path) for path, data in held if data is not None and not path.exists()]

    def places(self) -> Iterator[Path]:
        """Directories to watch, because a file that is renamed into place is another file."""
        yield from (path.parent for path in self._paths())

    def names(self) -> set[str]:
        """What is to be looked at in them."""
        return {path.name for path in self._paths()}

    def _paths(self) -> Iterator[Path]:
        """The files, and links on the way to them: of mounted files Kubernetes exchanges such a one."""
        for path in (self.path, self.plans_path):
            yield path
            yield from links_to(path)


def document_with_plans(path: Path, data: bytes, settings: Settings) -> Document:
    """The document of a file that holds `data`, and of the plans that it names. Raises ConfigError."""
    named = settings.tenant.plans_file
    return document_of(path, data, None if is_missing(named) else written_plans(Path(named)))


def _held(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
