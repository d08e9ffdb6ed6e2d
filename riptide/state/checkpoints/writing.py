"""Writing a checkpoint, in one pass over the server, while everything goes on.

In this order, because each part may rely on what comes before it: how far each partition is; the commands
that are not finished; all keys of the sections, as SCAN brings them; the sums of usage, each with its cut.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from riptide.config import Settings
from riptide.errors import BlobError, Stopped
from riptide.state.blobs import Blobs
from riptide.state.checkpoints import names
from riptide.state.checkpoints.dumping import Found, dump
from riptide.state.checkpoints.framing import Framer, Row
from riptide.state.checkpoints.manifest import Manifest
from riptide.state.checkpoints.rows import about
from riptide.state.checkpoints.sections import section_of
from riptide.state.checkpoints.sessions import SessionRows
from riptide.state.checkpoints.sums import USAGE, Cut, Homes, home_rows, read_homes, start_row, starts
from riptide.state.checkpoints.unfinished import unfinished
from riptide.state.clock import clock
from riptide.store.keys import Keys
from riptide.store.scan import Scan
from riptide.store.sync import Store
from riptide.streams.registry import load_models

#: They are about checkpoints themselves: to carry them out again would be no repair.
_OWN = frozenset({"checkpoint", "restore"})
_PAGE = 1000

#: Hears how much is done, of how much, and what is being done.
Told = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """Which checkpoint is to be written. `id` is given where a second try is to have the same one."""

    kind: str = "manual"
    note: str = ""
    id: str | None = None


class Writing:
    """One checkpoint being written. `stopped` is asked from time to time whether to give up."""

    def __init__(
        self, settings: Settings, store: Store, blobs: Blobs, told: Told, stopped: Callable[[], bool]
    ) -> None:
        self._settings, self._store, self._blobs = settings, store, blobs
        self._told, self._stopped = told, stopped
        self._prefix = settings.cache.key_prefix
        self._keys = Keys(self._prefix)
        self._counts: Counter[str] = Counter()
        self._homes = Homes()
        self._starts: dict[str, Cut] = {}
        self._sessions = SessionRows(store, self._prefix, blobs)

    def write(self, wish: Wish) -> Manifest:
        """Raises ServerUnavailable, ServerRefused, BlobError; Stopped."""
        begun, started = self._store.run(clock(self._prefix)), time.monotonic()
        checkpoint = wish.id or names.new_id(begun)
        framer = Framer(about, compress=self._settings.state.checkpoint_compression)
        content = names.new_content(checkpoint, begun)
        self._put(names.content_name(self._prefix, content), framer.frames(self._rows()))
        manifest = Manifest(
            id=checkpoint,
            prefix=self._prefix,
            kind=wish.kind,
            note=wish.note,
            begun_ms=begun,
            seconds=round(time.monotonic() - started, 3),
            tenants=self._counts["tenants"],
            unfinished=self._counts.pop("unfinished", 0),
            left_out=self._sessions.left_out,
            keys=dict(sorted(self._counts.items())),
            positions={p: cut.position for p, cut in self._starts.items()},
            frames=framer.count,
            content=content,
            size=framer.size,
            digest=framer.digest,
        )
        if self._stopped():
            self._blobs.delete(names.content_name(self._prefix, content))
            self._check_stopped()
        self._put(names.manifest_name(self._prefix, checkpoint), manifest.packed())
        return manifest

    def _put(self, name: str, data: bytes | Iterator[bytes]) -> None:
        try:
            self._blobs.put(name, data)
        except OSError as error:  # a store that is out of room while it takes a stream
            raise BlobError(f"blob {name!r} in {self._blobs.place}: {error.strerror or error}") from error

    def _rows(self) -> Iterator[Row]:
        self._starts = starts(self._store, self._keys)
        for partition, cut in self._starts.items():
            yield start_row(partition, cut)
        yield from self._commands()
        yield from self._all_keys()
        yield from self._usage()

    def _commands(self) -> Iterator[Row]:
        streams = self._settings.streams
        # A restore counts usage from the archive. Other types it does not read from there.
        archived = streams.archive and USAGE in streams.archive_types
        for kind in load_models(self._settings.workers.modules):
            if kind in _OWN:
                continue
            for one in unfinished(self._store, self._keys, kind, unread=not (archived and kind == USAGE)):
                self._check_stopped()
                self._counts["unfinished"] += 1
                yield one.row()

    def _all_keys(self) -> Iterator[Row]:
        cut = len(self._prefix) + 1
        with Scan(self._settings) as scan:
            total, looked = scan.size(), 0
            for number, found in scan.pages(f"{self._prefix}:*", _PAGE):
                self._check_stopped()
                wanted: list[Found] = []
                sessions: list[str] = []
                for raw in found:
                    name = raw.decode("utf-8", "replace")[cut:]
                    if name.startswith("usage:"):
                        self._homes.add(name)
                    elif section := section_of(name):
                        if section.way == "session":
                            sessions.append(name)
                        else:
                            wanted.append((section, name))
                for row in self._sessions.rows(sessions):
                    self._counts["sessions"] += 1
                    yield row
                for part in dump(self._store, self._prefix, wanted):
                    self._counts[part.section] += part.last
                    yield part.row()
                looked += number
                self._told(min(looked, total), total, "keys")

    def _usage(self) -> Iterator[Row]:
        for partition, tenants in self._homes.each():
            self._check_stopped()
            homes = self._store.run(read_homes(self._keys, partition, tenants))
            self._counts["usage"] += sum(len(home.sums) for home in homes)
            yield from home_rows(homes)

    def _check_stopped(self) -> None:
        if self._stopped():
            raise Stopped("it was told to stop; what it had written so far is not kept")
