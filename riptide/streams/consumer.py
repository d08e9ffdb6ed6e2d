"""This process as a consumer: under one name until it is taken over, and then under another."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable

from riptide.errors import RiptideError
from riptide.logger import get_logger
from riptide.store.operation import Operation
from riptide.streams.executor import Executor
from riptide.streams.ground import Ground
from riptide.streams.lease import Lease
from riptide.streams.members import Beat, introduce, new_member
from riptide.streams.message import Ref

_LONGEST_PAUSE = 1.0


class Consumer:
    """Its `name`, and the `lease` and the `executor` that it has under that name.

    `no_streams(keys)` is told where something else stands in the place of a stream, `renewed(old name)` that
    it goes on under another name.
    """

    def __init__(
        self,
        ground: Ground,
        started_ms: int,
        make_executor: Callable[[str, Lease], Executor],
        no_streams: Callable[[frozenset[str]], None],
        renewed: Callable[[str], None],
    ) -> None:
        self._settings = ground.settings
        self._store = ground.store
        self._members = ground.members
        self._partitions = list(ground.partitions.values())
        self._versions = {name: kind.model.version for name, kind in ground.types.items()}
        self._started_ms = started_ms
        self._make_executor = make_executor
        self._no_streams = no_streams
        self._renewed = renewed
        self._configured = ground.configured
        self._stop = ground.stop
        self._tasks = ground.tasks
        self._renewal: asyncio.Task[None] | None = None
        self._leased = asyncio.Event()
        #: Of each type the partition and id of the entry settled last; the heartbeat's thread reads it.
        self.position: dict[str, tuple[str, str]] = {}
        self._log = get_logger("riptide.worker")
        self._begin()
        #: What this process is called, whatever its name is now.
        self.process = self.name

    def _begin(self) -> None:
        name = new_member(self._settings.distributed.node_id)
        self.lease = Lease(self._settings.workers.lease_seconds)
        self.executor = self._make_executor(name, self.lease)
        self.name = name

    def beat(self) -> Operation[Beat]:
        """A heartbeat; the thread that sends them asks."""
        running = self.executor.running_by_type()
        config = self._configured.version if self._configured else ""
        position = {kind: str(Ref(kind, *place)) for kind, place in self.position.copy().items()}
        about = introduce("worker", self._versions, self._started_ms, self.process, running, config, position)
        lease_ms = round(self._settings.workers.lease_seconds * 1000)
        return self._members.beat(self.name, lease_ms, about, self.process)

    # Joining, and joining anew after it was fenced off

    async def enroll(self) -> None:
        """Join; try until the server lets it, or the worker is stopped."""
        for failures in itertools.count(1):
            try:
                await self._join()
                return
            except RiptideError as error:
                self._log.warning("cannot join yet", error=str(error), failures=failures)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(
                        self._stop.wait(), min(_LONGEST_PAUSE, 0.05 * 2 ** min(failures, 6))
                    )
                if self._stop.is_set():
                    return

    async def _join(self) -> None:
        # Known first: whoever finds it dead removes the fences, which have no lifetime.
        await self._store.run(self.beat())
        await self._store.run_all([p.raise_fence(self.name) for p in self._partitions])
        await self._ensure_groups()

    async def repair(self) -> None:
        """Groups may be gone, or this consumer taken over: make the former, notice the latter."""
        made, fenced = await self._ensure_groups()
        if made:
            self._log.warning("groups were missing and have been made anew", groups=made)
        if fenced:
            await self._renew()

    async def _ensure_groups(self) -> tuple[int, bool]:
        """How many were made, and whether this consumer has been taken over."""
        replies = await self._store.run_all([p.ensure_groups(self.name) for p in self._partitions])
        found = [groups for groups in replies if groups]
        self._no_streams(frozenset(key for groups in found for key in groups.no_streams))
        return sum(groups.made for groups in found), len(found) < len(replies)

    def was_fenced(self, name: str) -> None:
        """The server says so."""
        if name == self.name:  # what an earlier incarnation still hears is no news
            self._tasks.spawn(self._renew())

    async def _renew(self) -> None:
        renewal = self._renewal
        if renewal is None or renewal.done():
            renewal = self._renewal = self._tasks.spawn(self._become_new())
        await asyncio.shield(renewal)

    async def _become_new(self) -> None:
        """Drop what it runs, which others run now, and go on under a new name."""
        old, executor = self.name, self.executor
        self._begin()
        self._log.warning(
            "taken over by others; going on anew", old=old, worker=self.name, dropped=executor.running
        )
        self._tasks.spawn(executor.cancel())
        await self.enroll()
        self._renewed(old)

    # Whether it is intact

    async def intact(self) -> None:
        """Returns once its lease holds. Who was silent for a lease may have been taken over: what is given to
        it then would be lost from sight."""
        while not self.lease.holds():
            self._leased.clear()
            await self._leased.wait()

    def heard(self, sent: float) -> None:
        """A heartbeat under its name was answered, which its lease has been told."""
        if self.lease.certain:
            self._leased.set()
        elif self._renewal is None or self._renewal.done():  # before that its fences are not raised
            self._tasks.spawn(self._check(self.lease, sent))

    async def _check(self, lease: Lease, sent: float) -> None:
        """After a silence: others may have taken this consumer over."""
        with contextlib.suppress(RiptideError):
            await self.repair()
            if lease is self.lease:
                lease.checked(sent)
                self._leased.set()
