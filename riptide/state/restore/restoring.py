"""Restoring a checkpoint, as a whole or some of its tenants; in an empty server as in a living one.

Everything is verified first: the checkpoint, and the segments of the archive that came after it. Then each
step is one that may be repeated: what is there already is left as it is, so a restore that was killed is
simply run again. In this order: keys of the sections; sessions; usage, to the unit; unfinished commands; last
the tenants' records, by which what came before begins to count.
"""

import time
from collections.abc import Callable, Collection

from riptide.config import Settings
from riptide.errors import Damaged, InvalidInput, Stopped
from riptide.logger import get_logger
from riptide.names import check_tenant
from riptide.state.archive.names import order
from riptide.state.checkpoints.framing import Frames
from riptide.state.checkpoints.manifest import Manifest
from riptide.state.checkpoints.rows import STARTS, Rows
from riptide.state.checkpoints.shelf import Shelf, never, nobody
from riptide.state.checkpoints.sums import Cut, read_cut
from riptide.state.checkpoints.trail import Trail
from riptide.state.checkpoints.writing import Told
from riptide.state.clock import clock
from riptide.state.replay.commands import Found
from riptide.state.replay.target import Target
from riptide.state.restore.commands import kept_usage, publish_again
from riptide.state.restore.judging import Judge
from riptide.state.restore.keys import put_back
from riptide.state.restore.report import Report
from riptide.state.restore.sessions import SessionsRestore
from riptide.state.restore.since import Since
from riptide.state.restore.tenants import Tenants
from riptide.state.restore.usage import UsageRestore
from riptide.state.restore.warming import have_warmed
from riptide.store.keys import PARTITIONS, Keys
from riptide.store.sync import Store, open_store
from riptide.tenants.registry.audit import check_actor
from riptide.tenants.usage.known import digest_of

#: Each is as long as the others for whoever watches.
_STEPS = 6


def restore(
    settings: Settings,
    shelf: Shelf,
    checkpoint: str,
    *,
    tenants: Collection[str] | None = None,
    dry_run: bool = False,
    actor: str | None = None,
    told: Told = nobody,
    stopped: Callable[[], bool] = never,
) -> Report:
    """Bring back what a checkpoint holds; with `tenants`, of these alone. `actor` is who asks for it, for the
    audit trail.

    Raises InvalidInput; BlobNotFound, Damaged, and then nothing was changed; ServerUnavailable, Stopped, and
    then it has to be run again.
    """
    chosen = None if tenants is None else frozenset(map(check_tenant, tenants))
    if chosen is not None and not chosen:
        raise InvalidInput("name at least one tenant, or leave tenants out to restore everybody")
    who = check_actor(actor)
    told(0, _STEPS, "verifying")
    with shelf.opened(checkpoint, lambda done, of: told(done / of, _STEPS, "verifying")) as (made, frames):
        store = open_store(settings)
        try:
            report = Report(checkpoint, dry_run)
            work = Restoring(settings, shelf, store, made, frames, chosen, report, told, stopped)
            work.run()
            if not dry_run:
                Trail(settings, store, who).restored(checkpoint, chosen, report.brief())
                if made.keys.get("popularity"):
                    have_warmed(settings, store, checkpoint, chosen)
            return report
        finally:
            store.close()


class Restoring:
    """One restore. `stopped` is asked from time to time whether to give up."""

    def __init__(
        self,
        settings: Settings,
        shelf: Shelf,
        store: Store,
        made: Manifest,
        frames: Frames,
        chosen: frozenset[str] | None,
        report: Report,
        told: Told,
        stopped: Callable[[], bool],
    ) -> None:
        self._settings, self._blobs, self._store, self._frames = settings, shelf.blobs, store, frames
        self._made, self._everything, self.report = made, chosen is None, report
        self._told, self._stopped = told, stopped
        self._keys = Keys(settings.cache.key_prefix)
        self._now_ms = store.run(clock(settings.cache.key_prefix))
        self._tenants = Tenants(store, self._keys, self._blobs, chosen, self._now_ms)
        self._target = Target(store, self._keys, settings.streams, None, self._tenants.incarnation)
        self._log = get_logger("riptide.restore")

    def run(self) -> None:
        started, rows, report = time.monotonic(), self._frames.rows, self.report
        starts = self._starts()
        positions = {partition: cut.position for partition, cut in starts.items()}
        since = Since(self._settings, self._store, self._blobs, positions, kept_usage(rows))
        since.verify()
        self._tenants.decide(rows, report)
        self._tell(1, "keys")
        if self._everything and not report.dry_run:
            self._tenants.tell_purges()
        put_back(
            self._store, self._keys, rows, self._tenants, report, self._check, everything=self._everything
        )
        self._tell(2, "sessions")
        self._put_sessions(rows)
        self._tell(3, "usage")
        purged = self._tenants.purged_ms()
        judge = Judge(self._settings, purged, self._now_ms)
        UsageRestore(
            self._settings,
            self._store,
            self._target,
            self._tenants,
            since,
            starts,
            judge,
            report,
            self._check,
        ).run(rows)
        self._tell(4, "commands")
        publish_again(rows, self._target, self._tenants, lambda one: _is_before(one, purged), report)
        self._tell(5, "tenants")
        self._tenants.write_records(rows, report)
        report.seconds = round(time.monotonic() - started, 3)
        self._tell(_STEPS, "done")
        self._log.info(
            "rehearsed" if report.dry_run else "restored",
            checkpoint=report.checkpoint,
            tenants=dict(report.tenants),
        )

    def _starts(self) -> dict[str, Cut]:
        found = dict(map(read_cut, self._frames.rows(STARTS)))
        if set(found) != set(PARTITIONS):
            raise Damaged(
                f"checkpoint {self.report.checkpoint} is damaged: partitions are missing. Nothing is used"
            )
        return found

    def _put_sessions(self, rows: Rows) -> None:
        total = max(1, self._made.keys.get("sessions", 0))

        def step(done: int) -> None:
            self._tell(2 + min(1.0, done / total), "sessions")

        SessionsRestore(self._store, self._keys, self._blobs, self._tenants, self.report, step).run(rows)

    def _tell(self, step: float, what: str) -> None:
        self._check()
        self._told(step, _STEPS, what)

    def _check(self) -> None:
        if self._stopped():
            raise Stopped("the restore was told to stop; run it again to complete it")


def _is_before(command: Found, purged: dict[str, int]) -> bool:
    """Whether it was issued before its tenant was purged."""
    return order(command.source.entry_id)[0] < purged.get(digest_of(command.tenant or ""), 0)
