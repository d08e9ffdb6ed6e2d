"""Schedules by a clock that a test has moved."""

from collections.abc import Mapping

from commands import Command
from riptide.config import Settings
from riptide.store.keys import Keys
from riptide.store.operation import Operation
from riptide.streams.publishing import Publisher
from riptide.streams.schedule.entries import Scheduled, entries
from riptide.streams.schedule.firing import Schedules, State
from riptide.testing.clock import MovableClock


class MovedSchedules(Schedules):
    """As a worker sees them, but that the test's clock counts, and not the server's."""

    def __init__(
        self,
        settings: Settings,
        models: Mapping[str, type[Command]],
        publisher: Publisher,
        clock: MovableClock,
    ) -> None:
        keys = Keys(settings.cache.key_prefix)
        # Those of the configuration: checkpoints and bills by the clock would be in every test's way.
        own = [entry for entry in entries(settings, models) if not entry.built_in]
        super().__init__(keys, publisher, own)
        self._clock = clock

    def state(self) -> Operation[State]:
        asked = super().state()

        def parse(reply: object) -> State:
            state = asked.parse(reply)
            return State(state.now_ms + self._clock.ahead_ms, state.last)

        return Operation(asked.args, parse, asked.script)

    def _record(self, entry: Scheduled, slot: int, ref: str) -> Operation[int]:
        return Operation(("HSET", self._key, entry.name, f"{slot} {ref}"), int)
