"""The part of a worker that looks at the schedules whenever a heartbeat brings the server's time."""

from collections.abc import Callable, Coroutine
from typing import Any

from riptide.errors import RiptideError
from riptide.logger import get_logger
from riptide.store.aio import AsyncStore
from riptide.streams.schedule.firing import Fired, Schedules


class Scheduler:
    """`spawn` runs a coroutine as a task."""

    def __init__(
        self, store: AsyncStore, schedules: Schedules, spawn: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self._store = store
        self._spawn = spawn
        self._looking = False
        self._complained: set[tuple[str, str]] = set()
        self._log = get_logger("riptide.schedule")
        self.renew(schedules)

    def renew(self, schedules: Schedules) -> None:
        """Look at these from now on."""
        self._schedules = schedules
        for entry in schedules.listed:
            if entry.off is not None and not entry.built_in:
                self._log.warning("a schedule is off", schedule=entry.name, why=entry.off)

    def heard(self, now_ms: int) -> None:
        """The server's time is `now_ms`."""
        if not self._looking and self._schedules.due(now_ms):
            self._looking = True
            self._spawn(self._look())

    async def _look(self) -> None:
        try:
            for fired in await self._store.drive(self._schedules.look()):
                self._report(fired)
        except RiptideError as error:
            self._log.warning("cannot look at the schedules yet", error=str(error))
        finally:
            self._looking = False

    def _report(self, fired: Fired) -> None:
        slot = (fired.name, fired.slot)
        if fired.error is None:
            self._complained.clear()
            if fired.first:
                self._log.info("scheduled", schedule=fired.name, slot=fired.slot, ref=str(fired.ref))
        elif slot not in self._complained:  # it is tried again at every heartbeat
            self._complained.add(slot)
            error = str(fired.error)
            self._log.warning("cannot publish yet", schedule=fired.name, slot=fired.slot, error=error)
