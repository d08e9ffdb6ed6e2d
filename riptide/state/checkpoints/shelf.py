"""The checkpoints of a deployment: create, list, show, verify, and let the oldest go.

It blocks: asynchronous callers hand its calls to a thread. Each call connects for itself.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from riptide.config import Settings
from riptide.errors import BlobNotFound, Damaged, InvalidInput, ServerRefused
from riptide.logger import get_logger
from riptide.metrics.instruments import CHECKPOINT_SECONDS, CHECKPOINTS
from riptide.state.blobs import Blobs, open_blobs
from riptide.state.checkpoints import names
from riptide.state.checkpoints.floor import keep_streams
from riptide.state.checkpoints.framing import Frames
from riptide.state.checkpoints.manifest import Manifest, read_manifest
from riptide.state.checkpoints.trail import Trail
from riptide.state.checkpoints.writing import Told, Wish, Writing
from riptide.store.sync import Store, open_store

KINDS = ("manual", "scheduled", "shutdown", "emergency")
_LONGEST_NOTE = 1000
_ORPHAN_MS = 86_400_000


def nobody(_done: float, _total: float, _what: str) -> None:
    """Nobody is told."""


def never() -> bool:
    return False


class Shelf:
    """Opens the blob store when it is first needed."""

    def __init__(self, settings: Settings, blobs: Blobs | None = None) -> None:
        self._settings = settings
        self._opened = blobs
        self._prefix = settings.cache.key_prefix
        self._log = get_logger("riptide.checkpoints")

    @property
    def blobs(self) -> Blobs:
        if self._opened is None:
            self._opened = open_blobs(self._settings.blobs)
        return self._opened

    def create(
        self,
        kind: str = "manual",
        note: str = "",
        *,
        id: str | None = None,  # noqa: A002 - what it is called everywhere
        actor: str | None = None,
        told: Told = nobody,
        stopped: Callable[[], bool] = never,
    ) -> Manifest:
        """Write a checkpoint, and remove the oldest beyond `state.max_checkpoints`; with an `id` once,
        however often it is asked for. `actor` is who asks for it, for the audit trail, in which the
        schedule's are not; None: nobody did."""
        if kind not in KINDS:
            raise InvalidInput(f"a checkpoint is of kind {', '.join(KINDS)}, not {str(kind)[:40]!r}")
        if len(note) > _LONGEST_NOTE or not _is_utf8(note):
            raise InvalidInput(f"a note has at most {_LONGEST_NOTE:,} characters, in UTF-8")
        if id is not None:
            with suppress(BlobNotFound):
                return self.show(id)
        with _counted_as(kind):
            store = open_store(self._settings)
            try:
                writing = Writing(self._settings, store, self.blobs, told, stopped)
                manifest = writing.write(Wish(kind, note, id))
                self._written(store, manifest, actor)
            finally:
                store.close()
        self._let_go()
        return manifest

    def _written(self, store: Store, manifest: Manifest, actor: str | None) -> None:
        self._log.info("checkpoint written", checkpoint=manifest.id, kind=manifest.kind, bytes=manifest.size)
        try:
            keep_streams(self._settings, store, manifest)
        except ServerRefused as error:  # it is full: streams keep what an older checkpoint needs
            self._log.warning("streams keep more than is needed", error=str(error))
        if actor is not None and manifest.kind != "scheduled":
            Trail(self._settings, store, actor).created(manifest)

    def ids(self) -> list[str]:
        """Of all checkpoints, newest first. One that is being written is not among them."""
        found = map(names.read_manifest_name, self._files())
        return sorted((checkpoint for checkpoint in found if checkpoint), reverse=True)

    def list(self) -> tuple[list[Manifest], list[str]]:
        """All checkpoints, newest first, and what is wrong with those that cannot be read."""
        found, problems = [], []
        for checkpoint in self.ids():
            try:
                found.append(self.show(checkpoint))
            except BlobNotFound:
                continue  # let go meanwhile
            except Damaged as error:
                problems.append(str(error))
        return found, problems

    def show(self, checkpoint: str) -> Manifest:
        """Raises InvalidInput for what is no id; BlobNotFound; Damaged."""
        name = names.manifest_name(self._prefix, checkpoint)
        try:
            manifest = read_manifest(checkpoint, self.blobs.get(name))
        except BlobNotFound:
            raise BlobNotFound(
                f"there is no checkpoint {checkpoint} in {self.blobs.place}; see 'riptide checkpoint list'"
            ) from None
        if (manifest.id, manifest.prefix) != (checkpoint, self._prefix):
            raise Damaged(
                f"checkpoint {checkpoint} is damaged: its manifest is another one's. Nothing is used"
            )
        return manifest

    def verify(self, checkpoint: str, told: Told = nobody) -> Manifest:
        """Read all of it. Raises Damaged if anything is not as it was written."""
        with self.opened(checkpoint, lambda done, total: told(done, total, "reading")) as (manifest, _):
            return manifest

    @contextmanager
    def opened(
        self, checkpoint: str, told: Callable[[int, int], None] = lambda *_: None
    ) -> Iterator[tuple[Manifest, Frames]]:
        """A checkpoint, verified as a whole. `told` hears how much of it is read, of how much."""
        manifest = self.show(checkpoint)
        try:
            content = names.content_name(self._prefix, manifest.content)
            pieces = _counted(self.blobs.stream(content), lambda done: told(done, manifest.size))
            frames = Frames(checkpoint, pieces, manifest.digest)
        except (BlobNotFound, InvalidInput):
            raise Damaged(f"checkpoint {checkpoint} is damaged: its content is missing") from None
        try:
            yield manifest, frames
        finally:
            frames.close()

    def _files(self) -> Iterator[str]:
        start = names.folder(self._prefix)
        return (blob.name.removeprefix(start) for blob in self.blobs.list(start))

    def _let_go(self) -> None:
        """The manifest goes first: half a checkpoint is none. What is left of one that was never completed
        goes after a day."""
        kept = self.ids()
        for checkpoint in kept[self._settings.state.max_checkpoints :]:
            self.blobs.delete(names.manifest_name(self._prefix, checkpoint))
        most = self._settings.state.max_checkpoints
        # Older than so many others: it went with its manifest, or goes as soon as it gets one.
        last = kept[most - 1] if len(kept) >= most else ""
        found, problems = self.list()
        contents = {one.content for one in found}
        oldest = time.time() * 1000 - _ORPHAN_MS
        for file in [] if problems else list(self._files()):
            read = names.read_content_name(file)
            if read is None or file in contents:
                continue
            checkpoint, begun_ms = read
            if begun_ms < oldest or checkpoint < last:
                self.blobs.delete(names.content_name(self._prefix, file))


@contextmanager
def _counted_as(kind: str) -> Iterator[None]:
    began, result = time.monotonic(), "failed"
    try:
        yield
        result = "done"
    finally:
        CHECKPOINTS.add(kind, result)
        CHECKPOINT_SECONDS.observe(time.monotonic() - began)


def _counted(pieces: Iterable[bytes], told: Callable[[int], None]) -> Iterator[bytes]:
    done = 0
    for piece in pieces:
        yield piece
        done += len(piece)
        told(done)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
