"""`rt.checkpoints`: the state in the blob store, synchronous."""

from collections.abc import Collection
from functools import partial

from riptide.config import Settings
from riptide.state.checkpoints.manifest import Manifest
from riptide.state.checkpoints.shelf import Shelf, nobody
from riptide.state.checkpoints.writing import Told
from riptide.state.restore.report import Report
from riptide.state.restore.restoring import restore
from riptide.tenants.registry.audit import check_actor


class Checkpoints:
    """What a call does is done by this process; the commands Checkpoint and Restore have a worker do it.

    `told` hears how far it is: done, of how much, and what is being done. `actor` is who does it, for the
    operators' audit trail; by default whoever runs this process. Methods raise BlobError, ServerUnavailable
    and ServerRefused.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._shelf = settings, Shelf(settings)

    def create(
        self, kind: str = "manual", note: str = "", *, actor: str | None = None, told: Told = nobody
    ) -> Manifest:
        """Write a checkpoint while everything goes on, and remove the oldest beyond `state.max_checkpoints`.

        `kind` says why: manual, scheduled, shutdown or emergency. Raises InvalidInput.
        """
        return self._shelf.create(kind, note, actor=check_actor(actor), told=told)

    def problems(self) -> list[str]:
        """What is wrong with those whose manifest cannot be read."""
        return self._shelf.list()[1]

    def list(self) -> list[Manifest]:
        """All checkpoints that can be read, newest first; see `problems`."""
        return self._shelf.list()[0]

    def show(self, checkpoint: str) -> Manifest:
        """What a checkpoint says of itself. Raises InvalidInput, BlobNotFound, Damaged."""
        return self._shelf.show(checkpoint)

    def verify(self, checkpoint: str, *, told: Told = nobody) -> Manifest:
        """Read all of a checkpoint. Raises Damaged if anything is not as it was written; else as `show`."""
        return self._shelf.verify(checkpoint, told)

    def restore(
        self,
        checkpoint: str,
        *,
        tenants: Collection[str] | None = None,
        dry_run: bool = False,
        actor: str | None = None,
        told: Told = nobody,
    ) -> Report:
        """Bring back what a checkpoint holds, and usage that came after it; with `tenants`, of these alone.

        Verified before anything is written. What is there already stays, but for tenants' records, which
        become those of the checkpoint; who was purged stays purged. With `dry_run` it only tells what would
        be done. Done again, it changes nothing more. Raises InvalidInput, BlobNotFound, Damaged: then nothing
        was changed.
        """
        work = partial(restore, self._settings, self._shelf, checkpoint)
        return work(tenants=tenants, dry_run=dry_run, actor=actor, told=told)
